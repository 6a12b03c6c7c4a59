"""Adding and copying against their definitions, and their levels of chance against theory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from gateflow.errors import InvalidArgument
from gateflow.training.tasks import TASKS
from gateflow.training.tasks._rows import draws
from gateflow.training.tasks.adding import Adding
from gateflow.training.tasks.associative_recall import AssociativeRecall
from gateflow.training.tasks.copying import Copying
from gateflow.training.tasks.selective_copying import SelectiveCopying

MANY = 4000


def test_adding_is_the_sum_of_two_marked_uniform_numbers() -> None:
    batch = Adding(horizon=11).batch("train", 0, MANY, seed=1)
    values, marks = batch.inputs.double().unbind(-1)
    assert ((marks == 0) | (marks == 1)).all()
    assert (marks[:, :5].sum(1) == 1).all()
    assert (marks[:, 5:].sum(1) == 1).all()
    assert torch.allclose((values * marks).sum(1, keepdim=True), batch.targets.double(), atol=1e-7)
    assert stats.kstest(values.flatten().numpy(), "uniform").pvalue > 0.01
    for half in (marks[:, :5], marks[:, 5:]):
        assert stats.chisquare(half.sum(0).numpy()).pvalue > 0.01


def test_who_adds_nothing_up_has_a_loss_of_a_sixth() -> None:
    task = Adding(horizon=20)
    batch = task.batch("train", 0, MANY, seed=0)
    loss = float(task.loss(torch.ones(MANY, 1), batch))
    # (X + Y - 1)^2 has the mean 1/6 and, the fourth moment being 1/15, the variance 1/15 - 1/36.
    assert abs(loss - 1 / 6) < 4 * math.sqrt((1 / 15 - 1 / 36) / MANY)
    assert task.chance == 1 / 6
    assert task.solved({"loss": 0.0019})
    assert not task.solved({"loss": 0.0021})


def test_adding_reaches_past_5000_steps() -> None:
    batch = Adding(horizon=20_000).batch("train", 10**6, 2, seed=3)
    assert batch.inputs.shape == (2, 20_000, 2)
    assert batch.inputs[..., 1].sum() == 4


def test_copying_lays_out_symbols_blanks_and_signal() -> None:
    task = Copying(horizon=7)
    batch = task.batch("train", 0, MANY, seed=0)
    given, wanted = batch.inputs.argmax(-1), batch.targets
    assert batch.inputs.sum(-1).eq(1).all()
    assert given.shape == wanted.shape == (MANY, 7 + 20)
    assert torch.equal(given[:, :10], wanted[:, 17:])
    assert (wanted[:, :17] == 8).all()
    assert (given[:, 10:16] == 8).all()
    assert (given[:, 16] == 9).all()
    assert (given[:, 17:] == 8).all()
    assert stats.chisquare(np.bincount(wanted[:, 17:].flatten(), minlength=9)[:8]).pvalue > 0.01


@pytest.mark.parametrize("horizon", [1, 100, 1000])
def test_copying_without_memory_costs_ten_log_eight_over_t_plus_twenty(horizon: int) -> None:
    task = Copying(horizon=horizon)
    batch = task.batch("valid", 0, 3, seed=0)
    answers = torch.full((3, horizon + 20, 9), -1e3, dtype=torch.float64)
    answers[:, :-10, 8] = 0
    answers[:, -10:, :8] = 0
    expected = 10 * math.log(8) / (horizon + 20)
    assert float(task.loss(answers, batch)) == pytest.approx(expected, rel=1e-12)
    assert task.chance == pytest.approx(expected, rel=1e-15)


def test_recall_counts_the_symbols_alone() -> None:
    task = Copying(horizon=5, symbols=4)
    batch = task.batch("train", 0, 2, seed=0)
    said = batch.targets.clone()
    said[0, -1] = (said[0, -1] + 1) % 8
    said[:, 0] = 0  # a wrong blank
    measures = task.measures(torch.nn.functional.one_hot(said, 9).float(), batch)
    assert measures["recalled"] == (7, 8)
    assert measures["accuracy"] == (26 - 3, 26)
    assert not task.solved({"recalled": 0.98})


def test_selective_copying_scatters_the_symbols_it_asks_for() -> None:
    task = SelectiveCopying(horizon=12, symbols=3)
    batch = task.batch("train", 0, MANY, seed=0)
    given = batch.inputs.argmax(-1)
    assert (given[:, 12:] == 9).all()
    for sequence, wanted in zip(given[:200], batch.targets[:200], strict=True):
        scattered = sequence[:12]
        assert torch.equal(scattered[scattered != 8], wanted[12:])
    assert stats.chisquare((given[:, :12] != 8).sum(0).numpy()).pvalue > 0.01
    assert batch.mask is not None
    assert batch.mask.sum(0).tolist() == [0] * 12 + [MANY] * 3


def test_selective_copying_without_memory_costs_log_eight() -> None:
    task = SelectiveCopying(horizon=30)
    answers = torch.zeros(5, 40, 8, dtype=torch.float64)
    assert float(task.loss(answers, task.batch("test", 0, 5, seed=0))) == pytest.approx(math.log(8), rel=1e-12)
    assert task.chance == math.log(8)


def test_every_key_is_asked_for_once_and_answered_by_its_value() -> None:
    task = AssociativeRecall(horizon=9, pairs=3, alphabet=5)
    batch = task.batch("train", 0, MANY, seed=1)
    given = batch.inputs.argmax(-1)
    assert batch.inputs.sum(-1).eq(1).all()
    assert given.shape == (MANY, 15)
    assert batch.mask is not None
    assert torch.equal(batch.mask[:, 6:], given[:, 6:] != 10)
    assert not batch.mask[:, :6].any()
    for sequence, wanted, asked in zip(given[:200], batch.targets[:200], batch.mask[:200], strict=True):
        pairs = dict(zip(sequence[0:6:2].tolist(), (sequence[1:6:2] - 5).tolist(), strict=True))
        assert sorted(sequence[asked].tolist()) == sorted(pairs)
        assert [pairs[key] for key in sequence[asked].tolist()] == wanted[asked].tolist()
    for counts in (batch.mask[:, 6:].sum(0), given[:, 0].bincount(), batch.targets[batch.mask].bincount()):
        assert stats.chisquare(counts.numpy()).pvalue > 0.01


def test_who_knows_no_pair_has_the_loss_of_guessing() -> None:
    task = AssociativeRecall(horizon=20)
    answers = torch.zeros(5, 36, 16, dtype=torch.float64)
    assert float(task.loss(answers, task.batch("test", 0, 5, seed=0))) == pytest.approx(math.log(16), rel=1e-12)
    assert task.chance == math.log(16)
    assert task.solved({"accuracy": 0.991})
    assert not task.solved({"accuracy": 0.99})


@pytest.mark.parametrize(("seed", "split", "row"), [(0, "train", 0), (3, "valid", 7), (2**70, "test", 2**40)])
def test_a_stream_is_that_of_its_key_and_counter(seed: int, split: Any, row: int) -> None:
    """As NumPy makes a generator of these."""
    counter = [0, row, ("train", "valid", "test").index(split), 0]
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    wanted = np.random.Generator(np.random.Philox(key=key, counter=np.array(counter, dtype=np.uint64)))
    found = draws(seed, split, row)
    for one in (found, wanted):
        one.random(3, dtype=np.float32)  # half of a number of 64 bits is left over
    assert (
        found.integers(0, 2**32, 5, dtype=np.uint32).tolist() == wanted.integers(0, 2**32, 5, dtype=np.uint32).tolist()
    )
    assert found.standard_normal(50).tolist() == wanted.standard_normal(50).tolist()
    assert str(found.bit_generator.state) == str(wanted.bit_generator.state)


def test_streams_of_neighbours_are_independent() -> None:
    streams = np.stack(
        [draws(seed, split, row).random(3000) for seed in (0, 1) for split in ("train", "test") for row in (0, 1)]
    )
    assert len(np.unique(streams)) == streams.size
    correlations = np.corrcoef(streams)[np.triu_indices(len(streams), 1)]
    assert np.abs(correlations).max() < 4.5 / math.sqrt(3000)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adding", {"horizon": 1}),
        ("adding", {"horizon": 10.5}),
        ("adding", {"horizon": True}),
        ("adding", {"held_out": 0}),
        ("copying", {"horizon": 0}),
        ("copying", {"symbols": 0}),
        ("copying", {"alphabet": 1}),
        ("selective-copying", {"horizon": 5, "symbols": 6}),
        ("associative-recall", {"horizon": 7}),
        ("associative-recall", {"alphabet": 7}),
        ("associative-recall", {"pairs": 0}),
        ("digits", {"per_step": 5}),
        ("digits", {"valid": 5000}),
        ("smnist", {"per_step": 0}),
        ("pmnist", {"permutation": -1}),
        ("scifar", {"valid": 0}),
        ("characters", {}),
        ("words", {"text": "no such file"}),
        ("series", {}),
        ("series", {"data": "no such file"}),
    ],
)
def test_bad_options_are_refused_in_a_line(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as error:
        TASKS[name](**options).batch("train", 0, 1, 0)
    assert "\n" not in str(error.value)


def test_recall_has_one_normal_number_and_a_lag_that_is_uniform():
    from scipy import stats

    task = TASKS["recall"](horizon=10)
    batch = task.batch("train", 0, 4000, 1)
    inputs, targets = batch.inputs[:, :, 0].numpy(), batch.targets[:, 0].numpy()
    assert ((inputs != 0).sum(axis=1) == 1).all()
    lags = 10 - (inputs != 0).argmax(axis=1)
    assert stats.chisquare(np.bincount(lags, minlength=11)[1:]).pvalue > 1e-3
    assert lags.min() == 1
    assert stats.kstest(targets, stats.norm.cdf).pvalue > 1e-3
    assert (inputs.sum(axis=1) == targets).all()
    assert task.blind(batch.targets) == pytest.approx(task.chance, rel=0.05)
    perfect = task.measures(batch.targets, batch)["loss"]
    assert perfect[0] == 0.0


def test_what_the_blind_answer_loses_is_computed_on_the_very_rows():
    task = TASKS["adding"](horizon=8, held_out=50)
    targets = task.batch("valid", 0, 50, 3).targets
    least = min(float(((targets - guess) ** 2).mean()) for guess in np.linspace(0.5, 1.5, 2001))
    assert task.blind(targets) == pytest.approx(least, rel=1e-5)
    assert TASKS["copying"](horizon=5).blind(targets) == TASKS["copying"](horizon=5).chance
