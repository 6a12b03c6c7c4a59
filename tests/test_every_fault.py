"""Every fault that was reported of the product has a test: what went wrong, and the tests that hold the right answer.

Their expected values are closed forms, big floats, balls, PyTorch, or a refusal in one line. What is found joins
its row, or has a new one.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

TESTS = Path(__file__).parent
BREAKS = "asymptotics/signs/test_breaks.py"
PROOFS = "asymptotics/proofs/test_certificate.py"
SATURATION = "asymptotics/test_saturation.py"
MEMBERSHIP = "asymptotics/test_membership.py"
BOUNDED = "guards/test_bounded_formulas.py"
FAULTS = "flows/test_faults_of_numbers.py"
FOREIGN = "files/test_foreign.py"
PLACE = "files/test_place.py"
READING = "files/test_reading.py"
COMPILED = "codegen/test_compiled.py"
STREAMS = "cli/test_streams.py"
ERRORS = "cli/test_errors.py"
SURFACE = "test_surface.py"
GATE = "gates/test_gate.py"
OPERANDS = "nn/test_operands.py"

ROWS: dict[str, list[str]] = {
    # --- membership, orders, rates, certificates ---
    "the value at a break": [
        f"{BREAKS}::test_the_value_at_a_break_is_part_of_the_function",
        f"{PROOFS}::test_the_checker_looks_at_the_value_at_zero",
    ],
    "a lie about z0": [
        f"{PROOFS}::test_a_z0_that_is_too_small_is_not_verified",
        f"{PROOFS}::test_a_slope_that_turns_up_again_past_the_boxes_is_not_verified",
    ],
    "a formal derivative as a witness": [f"{PROOFS}::test_a_formal_derivative_at_a_break_is_no_witness"],
    "Stirling outside its domain": [
        f"{BREAKS}::test_bounds_of_the_gamma_functions_hold_from_the_smallest_argument_on",
        f"{BREAKS}::test_a_gate_with_a_small_argument_of_loggamma_is_not_called_increasing",
    ],
    "a domain that vanishes": [f"{GATE}::test_a_domain_that_sympy_simplifies_away_is_told"],
    "a wrong name of a tail": [
        f"{SATURATION}::test_a_wrong_tail_is_an_error",
        f"{MEMBERSHIP}::test_an_unknown_clause_is_an_error",
    ],
    "an order the other way round": [
        f"{SATURATION}::test_an_order_told_the_other_way_round_has_its_own_reason",
        f"{SATURATION}::test_a_threshold_told_the_other_way_round_is_the_reciprocal",
    ],
    "a check of nothing": [f"{PROOFS}::test_a_check_with_nothing_evaluated_has_not_held"],
    "ranks of what has none": [
        f"{SATURATION}::test_what_is_not_comparable_stands_apart",
        f"{SATURATION}::test_each_pair_is_asked_once",
    ],
    "gates with other inverses": [f"{GATE}::test_gates_with_other_inverses_are_not_equal"],
    "SymPy without end": [
        f"{BOUNDED}::test_formulas_that_never_ended_do",
        f"{BOUNDED}::test_formulas_that_cost_much_are_bounded",
        f"{BOUNDED}::test_formulas_that_cost_much_are_bounded_in_every_command",
        f"{SATURATION}::test_a_ranking_ends_within_its_time",
    ],
    "millions of digits of pi": [
        "asymptotics/proofs/test_numbers.py::test_no_phase_is_taken_of_a_number_whose_digits_end_before_the_point"
    ],
    "a reason that rounds itself away": [f"{BREAKS}::test_reasons_say_a_difference_that_rounding_would_hide"],
    "a witness of -0, or in [1, 1]": [
        f"{BREAKS}::test_witnesses_keep_what_floats_lose",
        f"{MEMBERSHIP}::test_the_number_that_is_printed_is_a_witness_itself",
    ],
    "a parameter called a": [f"{SATURATION}::test_the_scale_does_not_bear_the_name_of_a_parameter"],
    "sin^2 + cos^2 in a gate": [f"{BREAKS}::test_a_sum_of_squares_in_a_gate_is_the_constant_it_is"],
    "a quotient that is 1": [f"{SATURATION}::test_equal_thresholds_are_written_alike"],
    "isolated points that there are not": [
        f"{BREAKS}::test_isolated_zeros_of_the_slope_are_named_only_where_there_can_be_any"
    ],
    "narrow dips": [
        f"{BREAKS}::test_narrow_dips_are_found_and_shallow_ones_are_not",
        f"{BREAKS}::test_dips_narrower_than_floats_are_decided",
    ],
    "identities of constants": [f"{BREAKS}::test_identities_of_constants_are_proved_and_their_neighbours_are_not_zero"],
    "bounded waves in an order": [
        f"{SATURATION}::test_bounded_waves_do_not_move_the_threshold",
        f"{SATURATION}::test_waves_in_both_gates_that_stay_bounded_beside_z_leave_them_equal",
    ],
    "polygammas": [f"{BREAKS}::test_clause_four_knows_the_polygammas"],
    "breaks at roots without a formula": [
        f"{BREAKS}::test_break_points_are_all_found",
        f"{BREAKS}::test_joins_at_roots_that_have_no_formula_are_settled_exactly",
    ],
    "poles, and those that can be removed": [
        f"{BREAKS}::test_edges_that_have_poles_are_cut_there",
        f"{MEMBERSHIP}::test_a_quotient_that_is_0_over_0_is_read_as_its_limit_and_said_to_be",
    ],
    "poles that a product takes away": [
        f"{MEMBERSHIP}::test_poles_of_a_tangent_that_its_product_has_not_are_read_as_limits_and_said_to_be"
    ],
    "a slope below all numbers": [
        f"{MEMBERSHIP}::test_a_profile_that_falls_where_phi_is_beyond_all_numbers_is_a_witness"
    ],
    "a law lost with what comes after it": [
        "asymptotics/test_rate.py::test_a_law_that_is_proved_is_not_lost_with_what_comes_after_it"
    ],
    "corners of many waves": [f"{SATURATION}::test_many_waves_beside_z_leave_the_threshold"],
    "SymPy of other callers": [f"{BOUNDED}::test_powers_of_other_callers_of_sympy_are_what_they_were"],
    "zeros that hide": [
        f"{BREAKS}::test_pieces_that_fit_are_no_obstacle",
        f"{SATURATION}::test_a_zero_that_hides_in_a_germ_is_seen",
    ],
    "joins of values that add to 1": [f"{BREAKS}::test_pieces_that_fit_are_no_obstacle"],
    "an order through the tangent of a bounded profile": [
        f"{SATURATION}::test_bounded_waves_do_not_move_the_threshold"
    ],
    "all the time for clauses of what is not in F": [
        f"{MEMBERSHIP}::test_once_a_clause_is_refuted_the_others_take_little_time"
    ],
    "a search that is made again": [
        "asymptotics/limits/test_growth.py::test_what_was_not_found_is_not_searched_again_but_for_more_time"
    ],
    "a number that outweighs waves by a hair": [
        f"{BREAKS}::test_a_number_that_outweighs_waves_by_a_hair_decides",
        f"{PROOFS}::test_waves_that_a_number_outweighs_by_a_hair_rise_and_others_do_not",
        f"{PROOFS}::test_a_wave_that_no_number_outweighs_is_not_verified_as_a_member",
    ],
    "answers of damaged runs": [
        "training/test_damaged_runs.py::test_weights_that_are_not_those_of_the_network",
        "training/test_damaged_runs.py::test_heads_of_arrays_that_claim_what_cannot_be",
        "training/test_damaged_runs.py::test_numbers_past_the_network_are_no_answers",
    ],
    "a discriminant": [f"{BREAKS}::test_a_discriminant_decides_however_near_it_is_to_zero"],
    # --- times, flows, losses ---
    "a kink on a plateau": [
        f"{FAULTS}::test_what_is_narrow_is_not_missed",
        f"{FAULTS}::test_a_plateau_takes_its_length_over_its_slope",
        f"{FAULTS}::test_a_plateau_on_the_way_to_a_smooth_target",
    ],
    "a step between nodes": [
        f"{FAULTS}::test_what_is_narrow_is_not_missed",
        f"{FAULTS}::test_a_dip_of_the_density_beside_a_cut_is_not_missed",
        f"{FAULTS}::test_both_backends_claim_the_same",
    ],
    "what lies between two floats": [
        f"{FAULTS}::test_what_lies_between_two_floats_is_in_the_error",
        f"{FAULTS}::test_a_kink_that_is_a_float_or_of_no_weight_costs_no_digit",
    ],
    "kinks at roots without radicals": [
        f"{GATE}::test_changes_of_branch_are_found_where_they_are",
        "flows/test_enclosure.py::test_bad_questions_are_one_line",
    ],
    "a gap next to 1": [f"{FAULTS}::test_a_gap_next_to_1_keeps_its_digits"],
    "an exact gap below the floats": [f"{FAULTS}::test_exact_gaps_below_the_floats"],
    "a start at ulps from the target": [f"{FAULTS}::test_a_start_at_ulps_from_the_target"],
    "a start beside an exact target": [
        f"{FAULTS}::test_a_start_beside_the_target_of_an_exact_gap_is_off_by_what_its_logarithm_was_rounded_by"
    ],
    "what floats cannot tell, taken for flat": [
        f"{FAULTS}::test_where_floats_find_no_slope_nothing_is_said_to_be_flat",
        f"{GATE}::test_a_slope_is_not_gone_where_the_profile_is_no_number_in_floats",
    ],
    "a start on the rounded target": [
        f"{FAULTS}::test_a_start_on_the_rounded_target_is_never_infinite",
        f"{FAULTS}::test_the_time_from_the_rounded_target_is_right",
        f"{FAULTS}::test_the_time_of_student_t_from_the_rounded_target_is_right",
    ],
    "a flat point that is crossed": [
        f"{FAULTS}::test_what_is_narrow_is_not_missed",
        f"{FAULTS}::test_a_flat_crossing_of_two_powers",
    ],
    "backends that differ": [
        f"{FAULTS}::test_a_flat_crossing_is_one_piece_of_code_for_both_backends",
        "flows/test_backends.py::test_the_backends_agree_within_what_they_claim",
    ],
    "a slope of 1e-60": [
        f"{FAULTS}::test_what_is_narrow_is_not_missed",
        f"{FAULTS}::test_a_time_without_a_known_digit_is_unresolved",
    ],
    "dips far out": [
        f"{FAULTS}::test_every_dip_on_the_way_is_looked_at",
        f"{FAULTS}::test_past_the_known_features_the_error_is_infinite",
    ],
    "an error that is no number": [f"{FAULTS}::test_an_error_is_never_nan"],
    "work without bound": [f"{FAULTS}::test_a_cancelled_slope_takes_bounded_work"],
    "a law of horizons that is factored for ever": [
        "flows/test_losses.py::test_a_transform_with_large_numbers_is_bounded",
        "flows/test_losses.py::test_a_transform_that_is_too_involved_is_refused",
    ],
    "an error below the true one": ["flows/test_honest_errors.py::test_the_true_error_is_at_most_the_claimed_one"],
    "the other side's density at a kink": [
        "flows/test_honest_errors.py::test_a_start_on_a_kink_has_the_density_of_its_own_side"
    ],
    "0/0 in a formula": [
        "gates/test_holes.py::test_values_in_and_beside_a_hole_are_right_in_both_precisions",
        f"{FAULTS}::test_a_path_crosses_where_a_part_of_the_formula_is_0_over_0",
        f"{FAULTS}::test_a_path_from_a_hole_and_one_that_ends_in_it",
        "descents/test_compiled_descents.py::test_a_descent_through_a_hole_takes_the_steps_of_the_same_gate_written_without",
        "nn/test_gate_function.py::test_values_and_slopes_in_and_beside_a_hole",
    ],
    "exponentials that overflow in a slope": [f"{GATE}::test_far_from_a_bump_of_exponentials_its_slope_is_gone"],
    "bare exceptions, and what was taken in silence": [
        "test_bad_input.py::test_an_odd_argument_is_an_error_of_one_line",
        f"{ERRORS}::test_a_mistake_is_one_line_that_says_what_to_do",
    ],
    "an output in a folder that there is not": [f"{FOREIGN}::test_an_output_makes_no_folders_on_the_way"],
    "z* past the floats": [
        "flows/test_hitting_time.py::test_the_weight_keeps_its_digits_where_z_overflows",
        "flows/test_hitting_time.py::test_a_softsign_far_past_the_floats_of_z",
        "cli/test_time.py::test_where_tau_overflows_its_logarithm_tells_it",
    ],
    "a gate that is undefined below 0": [
        "flows/test_enclosure.py::test_a_gate_that_is_undefined_below_0_has_the_times_of_its_odd_extension"
    ],
    "a ball where no time was found": ["flows/test_enclosure.py::test_where_no_time_was_found_no_ball_is_claimed"],
    "balls that give up": [
        f"{FAULTS}::test_balls_hold_profiles_of_exponentials",
        f"{FAULTS}::test_balls_cross_what_is_narrow_and_what_is_flat",
    ],
    "a 0-byte output of a full disk": [
        "sweeps/test_resume.py::test_an_empty_file_that_a_full_disk_left_is_no_hindrance_to_a_restart"
    ],
    "a comparison with a gate that takes none of the values": [
        "descents/test_compare.py::test_a_gate_that_takes_none_of_the_values_on_the_way_is_compared_in_words"
    ],
    "== and hash of arrays": [
        f"{SURFACE}::test_what_differs_in_one_number_is_not_equal",
        f"{SURFACE}::test_a_set_and_a_mapping_hold_results",
    ],
    "arguments by name": [f"{SURFACE}::test_arguments_may_be_named_everywhere"],
    "public functions in a pool": [
        f"{SURFACE}::test_every_public_function_can_be_sent_to_another_process",
        f"{SURFACE}::test_a_pool_makes_gates",
    ],
    "predictions that nobody asked for": [
        "descents/test_compiled_descents.py::test_predictions_are_made_when_they_are_asked_for"
    ],
    # --- layers and trainer ---
    "memory out of bounds": [
        f"{OPERANDS}::test_what_pytorch_refuses_is_refused_with_its_kind_of_error",
        f"{OPERANDS}::test_weights_that_do_not_fit_are_told_in_a_line",
        f"{OPERANDS}::test_malformed_states_are_told_in_a_line",
        "nn/test_transforms.py::test_the_operator_refuses_what_compiled_code_would_read_beyond",
        "nn/kernels/test_sanitized.py::test_no_call_reads_or_writes_where_it_may_not",
        "nn/test_calls.py::test_a_call_gives_the_numbers_or_the_error_of_pytorch",
    ],
    "tables that cut to 0": [
        "nn/kernels/test_tables.py::test_a_slope_near_saturation_is_no_zero",
        "nn/kernels/test_tables.py::test_every_gate_is_within_four_ulps",
        "nn/kernels/test_tables.py::test_generated_formulas_are_within_four_ulps",
        "nn/kernels/test_tables.py::test_gates_with_a_floor_or_a_ceiling_are_within_four_ulps",
    ],
    "computed weights": [f"{OPERANDS}::test_computed_weights_are_those_that_count"],
    "second derivatives of logarithms": ["nn/test_gate_function.py::test_logarithms_are_twice_differentiable"],
    "declarations, cells and models that are none": [
        "nn/test_gate_function.py::test_a_declaration_that_is_none_is_refused_in_one_line",
        "nn/test_dropin.py::test_what_a_cell_is_given_is_named_in_one_line",
        "nn/test_dropin.py::test_what_is_no_model_is_not_replaced",
    ],
    "no_grad that keeps": [f"{OPERANDS}::test_without_gradients_nothing_is_kept"],
    "autocast": [f"{OPERANDS}::test_autocast_gives_pytorchs_types"],
    "dropout in one layer": [f"{OPERANDS}::test_dropout_in_a_single_layer_is_told"],
    "a full disk under TensorBoard": ["training/test_board.py::test_a_full_disk_is_one_line"],
    "quoted tables": ["training/tasks/test_series.py::test_quotes_around_fields_change_nothing"],
    "labels that are no classes": [
        "training/tasks/test_series.py::test_labels_that_are_no_classes_are_refused",
        "training/tasks/test_series.py::test_a_class_that_is_not_declared_is_refused",
    ],
    "a pipe for a checkpoint": [f"{READING}::test_a_pipe_in_the_folder_of_a_run_is_refused_at_once"],
    "a flag twice": ["cli/test_flags.py::test_of_a_flag_given_twice_the_last_wins"],
    "epochs beside settings": ["training/test_settings.py::test_settings_that_are_made_take_epochs_too"],
    "SIGINT that was ignored": [
        "cli/test_train.py::test_where_ctrl_c_is_ignored_sigterm_stops_a_run",
        "cli/test_train.py::test_ctrl_c_leaves_a_run_that_goes_on",
    ],
    # --- files, bounds, durability ---
    "a folder that merely looks like a run": [
        f"{FOREIGN}::test_a_run_that_does_not_prove_to_be_one_is_not_dropped",
        f"{FOREIGN}::test_a_folder_without_our_marker_is_left_alone",
        f"{FOREIGN}::test_a_dropped_run_takes_nothing_of_others_with_it",
        "training/test_survival.py::test_a_folder_of_something_else_is_left_alone",
    ],
    "locks of others": [
        f"{PLACE}::test_a_lock_is_never_written_to_and_one_of_others_never_removed",
        f"{PLACE}::test_a_lock_that_is_no_file_is_refused_at_once",
    ],
    "swap files": [
        f"{PLACE}::test_what_stands_under_a_spare_name_and_is_not_ours_stays",
        f"{FOREIGN}::test_a_folder_of_others_in_the_place_of_a_run_is_left_alone",
    ],
    "parts of a sweep": [
        f"{FOREIGN}::test_a_parts_folder_of_others_is_left_alone",
        f"{FOREIGN}::test_a_sweep_that_ends_takes_nothing_of_others_with_it",
        f"{FOREIGN}::test_links_folders_and_pipes_are_never_replaced",
    ],
    "outputs that overwrite": [
        f"{FOREIGN}::test_a_file_of_others_is_replaced_only_with_force_and_as_a_file",
        f"{FOREIGN}::test_every_command_that_writes_is_tried_here",
    ],
    "a planted library": [
        f"{COMPILED}::test_a_library_that_others_may_have_planted_is_not_loaded",
        f"{COMPILED}::test_a_library_of_another_user_is_not_loaded",
        f"{COMPILED}::test_a_library_that_is_changed_after_it_was_looked_at_is_not_loaded",
    ],
    "planted bytecode": ["nn/kernels/test_triton_lstm.py::test_the_text_of_a_gate_is_read_from_no_file"],
    "texts for SymPy": ["formula/test_vocabulary.py::test_a_text_is_refused"],
    "files that unpack to too much": [
        f"{READING}::test_an_archive_that_unpacks_to_too_much_is_refused_before_it_does",
        f"{READING}::test_a_text_that_unpacks_to_too_much_is_refused",
    ],
    "/dev/zero for settings": [f"{READING}::test_settings_from_no_regular_file_are_refused_at_once"],
    "a compiler without end": [
        f"{COMPILED}::test_a_compiler_that_prints_without_end_is_given_up",
        f"{COMPILED}::test_a_compiler_that_hangs_is_given_up",
    ],
    "a pickle of pairs of pairs": ["descents/test_audit.py::test_a_pickle_that_would_take_for_ever_to_hash_is_refused"],
    "a power cut": [
        "files/test_power.py::test_checkpoints_written_one_after_another_survive_a_cut_at_any_moment",
        "files/test_power.py::test_a_run_goes_on_after_a_cut_at_any_moment",
        "files/test_power.py::test_an_output_is_flushed_before_it_takes_its_name_and_its_folder_after",
    ],
    "metrics shorter than a checkpoint": [
        "training/test_survival.py::test_metrics_shorter_than_the_last_checkpoint_lead_back_to_the_one_before"
    ],
    "a kill at the rename": [f"{FOREIGN}::test_killed_at_the_rename_nothing_is_lost_and_nothing_stays_for_ever"],
    "closed streams": [
        f"{STREAMS}::test_closed_streams_change_no_file",
        f"{STREAMS}::test_an_answer_that_is_lost_is_an_error",
    ],
    "numbers past the floats in a formula": [
        "cli/test_time.py::test_a_gate_whose_numbers_pass_the_floats_has_an_answer"
    ],
    "deep JSON and TOML": [
        f"{READING}::test_settings_that_are_out_of_bounds_are_one_line",
        f"{READING}::test_metrics_that_nest_too_deep_are_one_line",
        f"{READING}::test_json_out_of_bounds_is_told_as_no_value",
    ],
    "a name twice in JSON": [f"{READING}::test_a_name_that_stands_twice_in_an_object_of_json_is_refused"],
    "tensors that share bytes": ["descents/test_audit.py::test_a_broken_file_is_refused_in_one_line"],
    "long integers and seeds": [f"{READING}::test_arguments_that_are_out_of_bounds_are_one_line"],
    "results and checkpoints of other types": [
        f"{READING}::test_a_result_of_other_types_is_one_line",
        f"{READING}::test_a_sealed_checkpoint_of_other_types_is_one_line",
        f"{READING}::test_a_line_of_metrics_of_other_types_is_told",
    ],
    "a cache without room": [f"{COMPILED}::test_a_cache_where_no_folder_can_be_made_is_done_without"],
    "a compiler without a version": [f"{COMPILED}::test_a_compiler_without_a_version_is_named"],
    "names that cannot be written": [f"{READING}::test_a_name_that_cannot_be_written_is_refused"],
    "a second Ctrl-C, SIGTERM, SIGHUP": [
        f"{STREAMS}::test_a_signal_ends_a_command_as_its_help_promises",
        "runs/test_signals.py::test_the_first_asks_the_second_interrupts_and_others_at_once_are_the_same",
    ],
    "the umask": [f"{PLACE}::test_the_umask_is_respected"],
    "a sweep with altered numbers": ["sweeps/test_resume.py::test_a_file_with_altered_numbers_is_refused"],
    "data by http": [f"{READING}::test_every_address_of_data_is_safe_on_the_way"],
    "the lowest versions": ["test_lowest.py::test_the_lowest_versions_do"],
    # --- a newcomer ---
    "pages that contradict their numbers": [
        "docs/test_pages.py::test_a_page_does_what_it_says",
        "cli/test_crossing.py::test_recommend_shows_the_reversal_in_words",
    ],
    "notebooks without outputs": ["notebooks/test_notebooks.py::test_it_is_kept_as_written"],
    "a name that is taken on the index": [f"{ERRORS}::test_a_missing_extra_is_told_with_the_command_that_installs_it"],
    "words of the house": ["docs/test_words.py::test_a_phrase_that_readers_stumbled_over_is_not_used"],
    "Python that is hard to discover": [
        f"{SURFACE}::test_modules_are_reached_and_dir_tells_what_is_public",
        f"{SURFACE}::test_help_shows_how_a_function_is_called",
        f"{SURFACE}::test_everything_shows_itself_in_a_few_words",
        "results/test_tabulated.py::test_success_is_the_target_reached",
    ],
    "directions that disagree": ["cli/test_flags.py::test_gates_are_ranked_highest_first_in_print_and_as_data"],
    "flat commands and their flags": [
        "cli/test_help.py::test_every_verb_stands_under_one_heading",
        "cli/test_flags.py::test_several_values_are_separated_by_blanks_or_commas",
        "cli/test_flags.py::test_the_horizon_is_t",
    ],
    "hints": [
        f"{ERRORS}::test_a_mistake_is_one_line_that_says_what_to_do",
        "formula/test_formula.py::test_latex_is_called_by_its_name",
        "formula/test_formula.py::test_what_a_hint_says_to_write_is_read_and_has_the_right_values",
    ],
    "lists that import everything": [f"{SURFACE}::test_lists_import_little"],
    "data that is a list": ["cli/test_experiment.py::test_it_is_listed_with_its_sizes_and_its_source"],
    "a target named as in Python": [f"{ERRORS}::test_a_mistake_is_one_line_that_says_what_to_do"],
    "a report on what is no gate": [f"{ERRORS}::test_a_mistake_is_one_line_that_says_what_to_do"],
    "kinks 0": ["cli/test_flags.py::test_a_kink_is_a_place_and_no_count"],
    "losses that look alike": ["cli/test_flags.py::test_no_two_losses_are_listed_with_one_formula"],
    "time without z*": ["cli/test_flags.py::test_the_target_stands_beside_the_time"],
    "figures in grey": [
        "plots/test_any_gates.py::test_lines_of_every_figure_have_marks_so_that_grey_tells_them_apart",
        "plots/test_figure_layout.py::test_one_column_wide_with_no_text_cut_or_overlapping",
        "plots/test_figure_numbers.py::test_every_number_is_finite_and_every_column_explained",
    ],
    "what stands around a project": [
        "test_package.py::test_there_is_one_address_and_one_author",
        "test_package.py::test_on_an_index_page_every_link_of_readme_leads_to_the_repository",
        "test_package.py::test_the_workflow_tries_every_python_that_is_named",
    ],
}


@lru_cache
def _names_in(file: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_fault_has_tests_that_are_there() -> None:
    assert all(ROWS.values())
    held = {(row, *test.split("::")) for row, tests in ROWS.items() for test in tests}
    assert [(row, file, name) for row, file, name in sorted(held) if name not in _names_in(file)] == []
