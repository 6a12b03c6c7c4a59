"""A bridge from the theory to a network in six rungs, each of which gives up one assumption of the one before.

Every rung learns the same task, ``recall``: a number s enters once and is asked for after a lag, with the loss
``|answer - s|``. What a unit with the forget gate f answers after L steps is ``f^L s``, so that the mean loss is
``E|s| E_L[1 - f^L]``: a function of z alone. The prediction descends that function with the optimiser of the run
(:mod:`gateflow.descents.optimizers`), and counts the steps until it is below a quarter of chance. Nothing is fitted.

======  ===============================================  ==========================================
rung    what learns                                      what it gives up
======  ===============================================  ==========================================
1       z of one unit, by the mean loss, one lag T       nothing
2       z of one unit, by batches of 32 samples          the mean loss: batches are noise
3       b_f of an LSTM wired by hand, lags U{1..T}       one lag, one unit, a linear memory
4       b_f, W_f and U_f of that LSTM                    f is constant over time
5       the same, the input gate and the readout         the constant c
6       all weights, from the standard start             the wiring
======  ===============================================  ==========================================

In rungs 3 to 5 the candidate is ``tanh(0.1 s)``, input and output gate are 1/2, and the readout is what makes the
answer ``f^L s`` to first order in s: computed, not fitted. A sequence has T + 1 steps. W_f has no gradient in rung 4,
since nothing is held when the number enters and nothing enters later.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gateflow.errors import InvalidArgument

if TYPE_CHECKING:
    from gateflow.gates.gate import Gate
    from gateflow.nn.recurrent import Recurrent
    from gateflow.training.loop import Trainer
    from gateflow.training.network import Network
    from gateflow.training.settings import Settings

RUNGS = {
    1: "exact unit",
    2: "samples",
    3: "wired LSTM, b_f",
    4: "and W_f, U_f",
    5: "and input gate, readout",
    6: "whole network",
}
"""What learns in each."""

ASSUMPTIONS = {
    2: "that steps follow the mean loss, and batches add no noise",
    3: "one lag, one unit and a linear memory",
    4: "that f does not depend on input and state (W_f, U_f)",
    5: "that the constant c stays what it is (input gate and readout learn)",
    6: "the wiring: from the standard start all other weights learn too",
}
"""What each gives up that the one before had."""

LEVEL = 0.25
"""Part of chance below which a run has arrived."""

CANDIDATE = 0.1
"""The weight by which s enters: small, so that tanh is linear to .3 %."""

MOST = 10**6
"""Steps after which a prediction is given up."""


def lags(rung: int, horizon: int) -> np.ndarray:
    """The lags of a rung, all alike in probability: T in the first two, then 1 to T."""
    return np.array([horizon]) if rung <= 2 else np.arange(1, horizon + 1)


def value_at_level(rung: int, horizon: int) -> float:
    """f at which the mean loss is a quarter of chance, if all units have it.

    Examples
    --------
    >>> round(value_at_level(1, 10), 6) == round(0.75 ** (1 / 10), 6)
    True
    """
    from scipy.optimize import brentq

    times = lags(rung, horizon)
    return float(brentq(lambda f: np.mean(1 - f**times) - LEVEL, 1e-9, 1.0, xtol=1e-15))


def predicted(gate: Gate, f: float, horizon: int, lr: float, rung: int, optimizer: str = "rmsprop") -> int:
    """Steps until the optimiser on the mean loss is below a quarter of chance.

    Parameters
    ----------
    gate : Gate
    f : float
        The value at the start.
    horizon : int
    lr : float
    rung : int
        From 3 on the lag is U{1..T}, and the prediction is one for all.
    optimizer : str

    Raises
    ------
    InvalidArgument
        It does not get there in a million steps.

    Examples
    --------
    >>> from gateflow.gates.gate import gate
    >>> predicted(gate("sigmoid"), 0.9, 10, 0.01, 1)
    59
    """
    from gateflow.descents.optimizers import OPTIMIZERS  # with SciPy, which a list of experiments does not need

    descending = OPTIMIZERS[optimizer]()
    times, numbers = lags(rung, horizon), gate.float64
    z = np.array([float(gate.inverse(f))])
    state = descending.start(1)
    rate = np.array([lr])
    for step in range(MOST):
        log_f = float(numbers.log_phi(z)[0])
        if 1 - np.exp(times * log_f).mean() < LEVEL:
            return step
        slope = float(np.exp(numbers.log_dphi(z))[0])
        gradient = -np.mean(times * np.exp((times - 1) * log_f)) * slope * math.sqrt(2 / math.pi)
        state, by = descending.update(state, np.array([gradient]), np.array([step + 1.0]), rate, lambda x: x)
        z = z - by
    raise InvalidArgument(f"{gate.name} does not learn the lag {horizon} in {MOST} steps of {lr:g}")


def bridge(
    settings: Mapping[str, Any],
    *,
    rung: int,
    out: str | Path,
    data_dir: str | Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Any:
    """Make one run of a rung, or go on with it; a :class:`gateflow.training.result.Result`.

    Parameters
    ----------
    settings : mapping
        As of a training run, of the task ``recall``.
    rung : int
    out, data_dir, stop
        As in :func:`gateflow.training.loop`.
    """
    from gateflow.training.folder import RunFolder
    from gateflow.training.loop import SAVE_EVERY, Trainer, global_state, settle
    from gateflow.training.result import Result

    made, task = settle(dict(settings), {}, data_dir)
    with global_state(made), RunFolder.open(Path(out), made, restart=False) as place:
        if (done := place.result()) is not None:
            return Result(made, **done, metrics=place.metrics())
        if rung <= 2:
            return _unit(made, rung, place, stop)
        trainer = Trainer(made, task, place, SAVE_EVERY)
        _wire(trainer, rung)
        return trainer.run(stop, lambda _: None)


def _wire(trainer: Trainer, rung: int) -> None:
    """Set the weights of the LSTM by hand, and let only those of the rung learn."""
    import torch

    if rung == 6:
        return
    network, cell = trainer.network, _recurrent(trainer.network)
    weights = cell.weights("l0")
    with torch.no_grad():
        bias = weights.bias_ih[cell.rows("forget")].clone()  # type: ignore[index]
        for each in network.parameters():
            each.zero_()
        weights.bias_ih[cell.rows("forget")] = bias  # type: ignore[index]
        weights.ih[cell.rows("candidate")] = CANDIDATE
        network.readout.weight.fill_(1 / (cell.hidden_size * 0.5 * 0.5 * CANDIDATE))
    for name, learns in _learning(network, rung).items():
        parameter = network.get_parameter(name)
        parameter.register_hook(lambda gradient, learns=learns: gradient * learns)


def _recurrent(network: Network) -> Recurrent:
    """The LSTM of a rung."""
    from gateflow.nn.recurrent import Recurrent

    assert isinstance(network.cell, Recurrent)
    return network.cell


def _learning(network: Network, rung: int) -> dict[str, Any]:
    """For each parameter, 1 where it learns and 0 where it does not."""
    import torch

    masks = {name: torch.zeros_like(each) for name, each in network.named_parameters()}
    cell = _recurrent(network)
    forget, enter = cell.rows("forget"), cell.rows("input")
    masks["cell.bias_ih_l0"][forget] = 1
    if rung >= 4:
        masks["cell.weight_ih_l0"][forget] = masks["cell.weight_hh_l0"][forget] = 1
    if rung >= 5:
        for name in ("weight_ih", "weight_hh", "bias_ih"):
            masks[f"cell.{name}_l0"][enter] = 1
        masks["readout.weight"][:] = masks["readout.bias"][:] = 1
    return masks


def _unit(settings: Settings, rung: int, place: Any, stop: Callable[[], bool]) -> Any:
    """Rungs 1 and 2: one unit that holds its state in float64; made in one go, for it takes seconds."""
    import torch

    from gateflow.nn.functional import gate_function
    from gateflow.training.optimizers import make_optimizer
    from gateflow.training.result import Result
    from gateflow.training.settings import make_init, make_task

    start, task = make_init(settings.init, 1), make_task(settings.task)
    function = gate_function(start.gate(settings.forget_gate))
    z = torch.nn.Parameter(torch.tensor([float(function.gate.inverse(start.f))], dtype=torch.float64))
    optimizer = make_optimizer(settings, torch.nn.ParameterList([z]))
    shown = task.blind(task.batch("valid", 0, task.held_out, settings.seed).targets)
    began = time.monotonic()
    status = "finished"

    def lost() -> Any:
        return -torch.expm1(task.horizon * function.log(z)).sum()

    def look(step: int) -> float:
        loss = float(lost().detach())
        place.note({"step": step, "kind": "valid", "loss": loss * shown})
        return loss

    place.latest()  # what a run that was killed has noted is dropped
    last = look(0)
    for step in range(1, settings.steps + 1):
        if step % 1000 == 0 and stop():
            return Result(settings, "interrupted", step, 0, None, {}, {}, time.monotonic() - began)
        optimizer.zero_grad()
        size = task.chance
        if rung == 2:
            size = float(task.batch("train", step - 1, settings.batch, settings.seed).targets.abs().mean())
        (size * lost()).backward()
        optimizer.step()
        if step % settings.evaluate_every == 0:
            last = look(step)
            if last * shown < task.below:
                status = "solved"
                break
    result = Result(settings, status, step, step, None, {}, {"loss": last * shown}, time.monotonic() - began)
    place.end(result, {}, {})
    return result
