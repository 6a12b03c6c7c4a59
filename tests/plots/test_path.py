"""A flow, drawn: what stands in the picture is what was followed."""

import numpy as np
import pytest

from gateflow.errors import InvalidArgument
from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.flows.trajectory import follow
from gateflow.plots._figure import PictureFile
from gateflow.plots._path import path


def lines(problem, z0):
    above, below = path(follow(problem, z0)).axes
    (drawn, *_), (loss, *_) = above.lines, below.lines
    return above, below, np.array(drawn.get_data()), np.array(loss.get_data())


def test_the_drawing_follows_the_closed_form_of_the_sigmoid():
    """For T = 1 and c = 1: tau = exp(z) + 2 z - exp(-z), from z0 = 0."""
    problem = LearningProblem("sigmoid", horizon=1, gap=1e-6)
    above, below, (tau, z), (_, loss) = lines(problem, 0.0)
    np.testing.assert_allclose(np.exp(z) + 2 * z - np.exp(-z), tau, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(loss[:-1], (1 / (1 + np.exp(z)) - 1e-6)[:-1], rtol=1e-6, atol=1e-10)
    assert (above.get_xscale(), below.get_yscale()) == ("log", "log")
    assert above.lines[1].get_ydata()[0] == problem.z_star


def test_times_past_the_floats_are_drawn_by_their_logarithm():
    problem = LearningProblem("sigmoid", horizon=100, log_gap=-900.0)
    above, _, (log10_tau, z), _ = lines(problem, 0.0)
    assert above.get_xscale() == "linear"
    assert log10_tau[-1] == pytest.approx(hitting_time(problem, 0.0).log_tau / np.log(10), rel=1e-12)
    assert z[-1] == pytest.approx(problem.z_star, rel=1e-12)


def test_a_flow_at_rest_is_refused():
    problem = LearningProblem("sigmoid", horizon=1, target=0.5)
    with pytest.raises(InvalidArgument, match="nothing to draw"):
        path(follow(problem, 0.0))


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
@pytest.mark.sampled(3)
def test_a_picture_is_written_in_the_format_of_its_name(form, tmp_path):
    drawn = path(follow(LearningProblem("fast", horizon=10, gap=0.1), 0.0), "fast\n$x")
    PictureFile(tmp_path / f"flow.{form}").save(drawn)
    heads = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    assert (tmp_path / f"flow.{form}").read_bytes().startswith(heads[form])
    with pytest.raises(InvalidArgument, match=r"should end in one of \.svg, \.pdf, \.png"):
        PictureFile(tmp_path / "flow.gif")
