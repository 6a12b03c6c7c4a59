"""Hitting times in C: right like those in NumPy, the same bits however they are cut up, done without a compiler too."""

from __future__ import annotations

import threading
import tracemalloc

import mpmath
import numpy as np
import pytest

from gateflow.codegen import compiler as builds
from gateflow.errors import InvalidArgument, NoCompiler
from gateflow.flows import LearningProblem, hitting_time, integral
from gateflow.flows import compiled as kernels
from gateflow.gates.gate import GATES, gate
from gateflow.results.status import Status

needs_compiler = pytest.mark.skipif(builds.available() is None, reason="there is no C compiler here")

SOME = ("fast", "sigmoid", "softsign", "gompertz", "erf", "cubic", "sigmoid(z + z**3)")
"""Closed inverses, a kink, digits lost by the formula, none of a closed inverse, a point no flow passes."""
MORE = (*(name for name in GATES if name not in SOME and name != "hard-sigmoid"), "sigmoid(z + 9*sin(z)/10)")
MORE = (*MORE, "(1 + tanh(z**3/3 + z))/2", "sigmoid(where(z < 1, z, 2*z - 1))", "student-t(df=6)")


def problems(name: str, count: int, seed: int = 0) -> tuple[LearningProblem, np.ndarray]:
    """Problems of the issue's distribution: a fifth starts above the target."""
    rng = np.random.default_rng(seed)
    horizon, gap = 10 ** rng.uniform(0, 6, count), 10 ** rng.uniform(-16, -2, count)
    h = np.exp(rng.uniform(np.log(0.1), np.log(30), count))
    h = np.where(rng.random(count) < 0.2, gap * 10 ** rng.uniform(-6, -0.1, count), h)
    chosen = gate(name)
    z0 = np.clip(chosen.float64.z_of_u(-np.log(np.expm1(h / horizon))), -1e300, 1e300)
    return LearningProblem(chosen, horizon=horizon, gap=gap, scale=10 ** rng.uniform(-2, 2, count)), z0


def agree(name: str, count: int) -> None:
    """Two backends, one answer to within the error that either estimates."""
    problem, z0 = problems(name, count)
    plain = hitting_time(problem, z0, backend="numpy")
    found = hitting_time(problem, z0, backend="compiled")
    assert (plain.backend, found.backend) == ("numpy", "compiled")
    assert (plain.status == found.status).all()
    reached = found.status == Status.REACHED
    assert reached.mean() > 0.15
    assert (np.isfinite(found.log_tau) == np.isfinite(plain.log_tau)).all()
    off = np.abs(found.log_tau[reached] - plain.log_tau[reached])
    assert (off <= found.error[reached] + plain.error[reached]).all()
    assert np.allclose(found.error[reached], plain.error[reached], rtol=0.05, atol=1e-14)


@needs_compiler
@pytest.mark.parametrize("name", SOME)
@pytest.mark.sampled(2)
def test_the_kernel_agrees_with_numpy(name):
    agree(name, 120)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_the_kernel_agrees_with_numpy_for_all_gates(name):
    agree(name, 300)


@needs_compiler
def test_the_kernel_is_right_to_1e_13():
    """Against ball arithmetic, which shares neither the rule nor the arithmetic."""
    pytest.importorskip("flint")
    from gateflow.flows.enclosure import enclose

    problem, z0 = problems("fast", 12, seed=5)
    found = hitting_time(problem, z0, backend="compiled")
    for k in range(12):
        one = LearningProblem("fast", horizon=problem.horizon[k], gap=problem.target.gap[k], scale=problem.scale[k])
        ball = enclose(one, z0[k], digits=20)
        assert abs(found.log_tau[k] - float(mpmath.log(ball.mid))) <= 1e-13


@needs_compiler
def test_the_bits_do_not_depend_on_the_company():
    problem, z0 = problems("fast", 500)
    whole = hitting_time(problem, z0, backend="compiled")
    order = np.random.default_rng(3).permutation(500)
    goal = problem.target.gap
    for part in (slice(0, 1), slice(7, 40), slice(490, 500), order):
        chosen = LearningProblem("fast", horizon=problem.horizon[part], gap=goal[part], scale=problem.scale[part])
        found = hitting_time(chosen, z0[part], backend="compiled")
        assert (found.log_tau == whole.log_tau[part]).all()
        assert (found.error == whole.error[part]).all()


@needs_compiler
def test_the_bits_do_not_depend_on_the_width_of_vectors(monkeypatch):
    if not builds.defines("__FMA__", builds.native()):
        pytest.skip("another kind of processor")
    problem, z0 = problems("fast", 300)
    wide = hitting_time(problem, z0, backend="compiled")
    for flags in (("-mavx2", "-mfma"), ("-msse2", "-mfma", "-fno-tree-vectorize")):
        kernels.kernel_of.cache_clear()
        with monkeypatch.context() as narrow:
            narrow.setattr(kernels, "native", lambda flags=flags: flags)
            found = hitting_time(problem, z0, backend="compiled")
        kernels.kernel_of.cache_clear()
        assert (found.log_tau == wide.log_tau).all()


@needs_compiler
@pytest.mark.parametrize(
    ("name", "task", "z0", "status"),
    [
        ("fast", {"gap": 0.01}, None, "reached"),
        ("fast", {"gap": 0.0}, 0.0, "asymptotic"),
        ("fast", {"gap": 0.01}, -800.0, "overflow"),
        ("cubic", {"gap": 0.01}, -1.0, "stuck"),
        ("9*sigmoid(z)/10", {"gap": 0.01}, 0.0, "outside"),
        ("log-slow", {"gap": 1e-100}, 0.0, "overflow"),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_numpy(name, task, z0, status):
    problem = LearningProblem(name, horizon=10, **task)
    z0 = problem.z_star if z0 is None else z0
    plain, found = (hitting_time(problem, z0, backend=backend) for backend in ("numpy", "compiled"))
    assert plain.status == found.status == status
    assert (plain.tau, plain.log_tau, plain.error) == (found.tau, found.log_tau, found.error)


@needs_compiler
def test_what_the_kernel_does_not_know_is_said_and_done_in_numpy(monkeypatch):
    hard = LearningProblem("hard-sigmoid", horizon=10, gap=0.01)
    squared = LearningProblem("fast", horizon=10, gap=0.01, loss="squared")
    special = LearningProblem("sigmoid(z + loggamma(1 + exp(z)))", horizon=10, gap=0.01)
    for problem, said in ((hard, "at a finite z"), (squared, "squared loss"), (special, "loggamma has no C form")):
        tolerance = 0.1 if problem is squared else None
        if problem is not squared:
            with pytest.raises(NoCompiler, match=said):
                hitting_time(problem, 0.0, backend="compiled")
        monkeypatch.setenv("GATEFLOW_BACKEND", "compiled")
        assert hitting_time(problem, 0.0, tolerance=tolerance).backend == "numpy"
        monkeypatch.delenv("GATEFLOW_BACKEND")


@needs_compiler
def test_the_kernel_is_chosen_for_many_problems(monkeypatch):
    problem, z0 = problems("fast", integral.LEAST[True])
    assert hitting_time(problem, z0).backend == "compiled"
    some = LearningProblem("fast", horizon=problem.horizon[:-1], gap=problem.target.gap[:-1])
    assert hitting_time(some, z0[:-1]).backend == "numpy"
    monkeypatch.setenv("GATEFLOW_BACKEND", "numpy")
    assert hitting_time(problem, z0).backend == "numpy"
    assert kernels.backend_version() == "numpy"
    monkeypatch.setenv("GATEFLOW_BACKEND", "compiled")
    assert hitting_time(LearningProblem("fast", horizon=10, gap=0.01), 0.0).backend == "compiled"
    assert kernels.backend_version().startswith("compiled by ")


def test_without_a_compiler_numpy_does_it(monkeypatch):
    monkeypatch.setenv("GATEFLOW_COMPILER", "none")
    kernels.kernel_of.cache_clear()
    problem, z0 = problems("fast", integral.LEAST[True])
    assert hitting_time(problem, z0).backend == "numpy"
    assert kernels.backend_version() == "numpy"
    with pytest.raises(NoCompiler, match="GATEFLOW_COMPILER is none"):
        hitting_time(problem, z0, backend="compiled")
    kernels.kernel_of.cache_clear()


def test_a_backend_that_is_none_is_refused(monkeypatch):
    problem = LearningProblem("fast", horizon=10, gap=0.01)
    with pytest.raises(InvalidArgument, match="backend must be one of auto, numpy, compiled; got 'fortran'"):
        hitting_time(problem, 0.0, backend="fortran")
    monkeypatch.setenv("GATEFLOW_BACKEND", "gpu")
    with pytest.raises(InvalidArgument, match="GATEFLOW_BACKEND must be one of"):
        hitting_time(problem, 0.0)


@needs_compiler
def test_memory_is_that_of_the_answer():
    """A grid is not written out: beside the answer (41 bytes a problem) only chunks are held."""
    rows, columns = 400, 500
    problem = LearningProblem(
        "fast", horizon=np.geomspace(1, 1e6, rows)[:, None], gap=np.geomspace(1e-12, 0.1, columns)
    )
    hitting_time(problem, 0.0)
    tracemalloc.start()
    found = hitting_time(problem, 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.tau.shape == (rows, columns)
    assert found.backend == "compiled"
    assert peak < 64 * rows * columns + 128 * integral.cores() * kernels.CHUNK


def test_parts_are_spread_over_threads(monkeypatch):
    """Each part once; as many threads as asked for, which wait for one another here."""
    monkeypatch.setattr(integral, "cores", lambda: 3)
    meeting = threading.Barrier(3, timeout=120)
    seen, done = set(), []

    def work(part: slice) -> None:
        if len(seen) < 3:
            seen.add(threading.get_ident())
            meeting.wait()
        done.extend(range(part.start, part.stop))

    integral.spread(work, 29, 10)
    assert sorted(done) == list(range(29))
    assert len(seen) == 3


def test_a_fault_in_a_thread_is_told():
    def work(part: slice) -> None:
        raise InvalidArgument("no")

    with pytest.raises(InvalidArgument, match="no"):
        integral.spread(work, 100, 10, threads=2)
