"""What the gates of a network do: the time constant of each unit, saturation, gradients in the pre-activation.

A unit's time constant is ``-1/mean(log f)``, in steps: over the T steps of an input its state decays by
``prod f = exp(T mean(log f))``. log f comes from the pre-activation by the gate's own formula,
in float64, so that a gate that has reached 1 in the network's own precision still has its time constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.guards.arguments import whole
from gateflow.nn.functional import GateFunction
from gateflow.nn.linear._layer import LinearRecurrence
from gateflow.nn.linear._stack import LinearStack
from gateflow.nn.recurrent import Recurrent
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.training.folder import SETTINGS, load_network, read_metrics, settings_of, started
from gateflow.training.network import Network
from gateflow.training.settings import make_task
from gateflow.training.task import Batch, Split, Task

AnyCell = Recurrent | LinearStack

ROWS = 8
"""Sequences that are looked at during training: gates differ little between them, and the plain loop is slow."""

SHARES = tuple(k / 10 for k in range(11))
"""The quantiles that are recorded."""


def timescales(network: torch.nn.Module, batch: Batch | Tensor) -> list[np.ndarray]:
    """The time constant of each unit over a batch, in steps; one array a layer (and direction).

    Parameters
    ----------
    network : Network or torch.nn.Module
        A network of the trainer, or another model that calls layers of gateflow on batches of sequences of one length.
    batch : Batch or Tensor
        What the network takes; of another model, the tensor that it is called with.

    Raises
    ------
    InvalidArgument
        The cell has no forget gate; or the model calls no layer that has one, or one on packed sequences or without a
        batch.

    Examples
    --------
    >>> from gateflow.nn import INITS, LSTM
    >>> cell = LSTM(2, 3, forget_gate="fast", batch_first=True)
    >>> INITS["for-timescales"](low=10, high=1000)(cell)
    >>> for weight in (cell.weight_ih_l0, cell.weight_hh_l0):
    ...     _ = torch.nn.init.zeros_(weight)
    >>> found = timescales(Network(cell, 1), Batch(torch.ones(4, 5, 2), torch.zeros(4, 1)))
    >>> [round(float(tau), 1) for tau in found[0]]
    [10.0, 100.0, 1000.0]
    >>> found = timescales(torch.nn.Sequential(torch.nn.Identity(), cell), torch.ones(4, 5, 2))
    >>> [round(float(tau), 1) for tau in found[0]]
    [10.0, 100.0, 1000.0]
    """
    if not (isinstance(network, Network) and isinstance(batch, Batch)):
        return _of_model(network, batch)
    _check(network.cell)
    with torch.no_grad(), _in_eval_mode(network):
        *_, traces = network(batch.inputs, None, batch.lengths, return_gates=True)
    return [_constants(log_retention(network.cell, values), batch.lengths) for values in traces]


def _of_model(model: torch.nn.Module, x: Any) -> list[np.ndarray]:
    """The same of layers in whatever a model does with them, in the order in which it calls them."""
    if not isinstance(model, torch.nn.Module) or not isinstance(x, Tensor):
        raise InvalidArgument("timescales takes a network of the trainer and a batch, or a model and a tensor")
    calls: list[tuple[Any, Any, Any]] = []
    layers = [each for each in model.modules() if isinstance(each, (Recurrent, LinearRecurrence))]
    hooks = [each.register_forward_pre_hook(lambda *call: calls.append(call), with_kwargs=True) for each in layers]
    with torch.no_grad(), _in_eval_mode(model):
        try:
            model(x)
        finally:
            for hook in hooks:
                hook.remove()
        found: list[np.ndarray] = []
        for layer, given, named in calls:
            _of_a_batch(layer, given[0] if given else next(iter(named.values())))
            if isinstance(layer, LinearRecurrence) or layer.forget_block is not None:
                traces = layer(*given, **{**named, "return_gates": True})[-1]
                every = [traces] if isinstance(traces, dict) else traces
                found += [_constants(log_retention(layer, values)) for values in every]
    if not found:
        raise InvalidArgument(f"{type(model).__name__} calls no layer of gateflow with a forget gate (cells are none)")
    return found


def _of_a_batch(layer: torch.nn.Module, x: Any) -> None:
    """Refuse what has no steps to take the mean over, for each sequence alike."""
    kind = type(layer).__name__
    if not isinstance(x, Tensor):
        raise InvalidArgument(f"the model packs the sequences of its {kind}; give it sequences of one length, unpacked")
    if x.dim() != 3:
        raise InvalidArgument(f"the model calls its {kind} on one sequence; give it a batch")


def log_retention(cell: AnyCell | LinearRecurrence, values: dict[str, Tensor]) -> Tensor:
    """log f, in float64, of the gate that multiplies the state, from the named values of one layer."""
    if "log_decay" in values:
        return values["log_decay"].double()
    block = str(cell.forget_block)
    z, gate = values[f"{block}_z"].double(), getattr(cell, f"{block}_gate", None)
    if not isinstance(gate, GateFunction):  # a noisy gate: it has no formula but its values
        return values[block].double().clamp(0.0, 1.0).log()
    refine = getattr(cell, "refine_gate", None)
    if "effective" not in values or not isinstance(refine, GateFunction):
        return gate.log(z)
    z_r, f, f_c = values["refine_z"].double(), gate(z), gate.complement(z)
    r, r_c = refine(z_r), refine.complement(z_r)
    kept, lost = f * (r * (1 + f_c) + r_c * f), f_c * (r * f_c + r_c * (1 + f))
    return torch.where(kept < 0.5, kept.log(), torch.log1p(-lost))


def statistics(network: Network, task: Task, batch: Batch, *, units: bool = False) -> list[dict[str, Any]]:
    """What the forget gates of each layer do on a batch.

    Parameters
    ----------
    units : bool
        Add the lines of every unit.

    Returns
    -------
    list of dict
        For each layer: ``mean`` of f; ``quantiles`` of f and ``timescales``, those of the units' time constants, both
        at `SHARES`; ``saturated``, the share of values of f that are 0 or 1 in the network's precision;
        ``gradient``, the norm of the loss's gradient in z over all steps. With ``units`` also ``units``: for each unit
        its mean ``z``, its ``timescale``, and ``gradient``, that of the loss in its bias; ``z_refine`` and
        ``gradient_refine`` where the gate is refined. Empty for a cell without a forget gate.
    """
    cell = network.cell
    if cell.forget_block is None:
        return []
    with _in_eval_mode(network), torch.enable_grad(), _observe(cell) as steps:
        answers, _, traces = network(batch.inputs, None, batch.lengths, return_gates=True)
        steps = steps or traces  # a linear state has no loop: what it returns is what it went on with
        loss = task.loss(answers, batch)
        names = [f"{block}_z" for block in (cell.forget_block, "refine") if f"{block}_z" in traces[0]]
        wanted = [values[name] for name in names for values in steps]
        slopes = torch.autograd.grad(loss, wanted, allow_unused=True)
    per_layer = len(steps) // len(traces)
    found = []
    for layer, values in enumerate(traces):
        first = [slice(k * len(steps) + layer * per_layer, None) for k in range(len(names))]
        mine = {name: _present(slopes[part][:per_layer]) for name, part in zip(names, first, strict=True)}
        norm = sum(float(slope.double().square().sum()) for slope in mine[names[0]]) ** 0.5
        every = {"units": _units(cell, values, batch, mine)} if units else {}
        found.append({**_summary(cell, values, batch), "gradient": norm, **every})
    return found


def _present(slopes: Iterable[Tensor | None]) -> list[Tensor]:
    return [slope for slope in slopes if slope is not None]


def _units(cell: AnyCell, values: dict[str, Tensor], batch: Batch, slopes: dict[str, list[Tensor]]) -> dict[str, Any]:
    """Of each unit: mean pre-activation, time constant, and the gradient that its bias gets."""
    log_f = log_retention(cell, {name: value.detach() for name, value in values.items()})
    found: dict[str, Any] = {"timescale": _constants(log_f, batch.lengths).tolist()}
    for name, ending in zip(slopes, ("", "_refine"), strict=False):
        live = _live(values[name], batch.lengths)
        found[f"z{ending}"] = values[name].detach()[live].double().mean(dim=0).tolist()
        total = torch.zeros(cell.hidden_size, dtype=torch.float64, device=live.device)
        of_each = (slope.double().flatten(0, -2).sum(dim=0) for slope in slopes[name])
        found[f"gradient{ending}"] = sum(of_each, total).tolist()
    return found


def _summary(cell: AnyCell, values: dict[str, Tensor], batch: Batch) -> dict[str, Any]:
    f = values.get("effective", values[str(cell.forget_block)]).detach()
    log_f = log_retention(cell, {name: value.detach() for name, value in values.items()})
    live = f[_live(f, batch.lengths)]
    return {
        "mean": float(live.double().mean()),
        "quantiles": np.quantile(live.double().cpu().numpy(), SHARES).tolist(),
        "timescales": np.quantile(_constants(log_f, batch.lengths), SHARES, method="nearest").tolist(),
        "saturated": float(((live <= 0) | (live >= 1)).double().mean()),
    }


def _constants(log_f: Tensor, lengths: Tensor | None = None) -> np.ndarray:
    """``-1/mean(log f)`` of each unit, over the steps that are real."""
    live = _live(log_f, lengths)[..., None]
    mean = torch.where(live, log_f, 0.0).sum(dim=(0, 1)) / live.sum()
    return (-1.0 / mean).cpu().numpy()


def _live(values: Tensor, lengths: Tensor | None) -> Tensor:
    """(batch, time): which steps are real."""
    steps = torch.arange(values.shape[1], device=values.device)
    if lengths is None:
        return torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
    return steps[None, :] < lengths[:, None]


def few(batch: Batch, rows: int = ROWS) -> Batch:
    """The first rows of a batch."""
    return replace(batch, **{name: part[:rows] for name, part in vars(batch).items() if part is not None})


def _check(cell: AnyCell) -> None:
    if cell.forget_block is None:
        raise InvalidArgument(f"{type(cell).__name__} has no forget gate, and so no time constants")


@contextmanager
def _in_eval_mode(network: torch.nn.Module) -> Iterator[None]:
    """The network in eval mode, and as it was afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def _observe(cell: AnyCell) -> Iterator[list[dict[str, Tensor]]]:
    """The named values of every step as the loop makes them: what ``return_gates`` returns are copies of these."""
    if not isinstance(cell, Recurrent):
        yield []
        return
    step, found = cell.step, []

    def watched(*arguments: Any) -> Any:
        state, values = step(*arguments)
        found.append(values)
        return state, values

    cell.step = watched  # type: ignore[method-assign]
    try:
        yield found
    finally:
        del cell.step


# --- of a run that was kept -----------------------------------------------------------------------------------------


@by_value
@dataclass(frozen=True)
class RunTimescales:
    """Time constants of the units of a trained network and of its start, in steps; one array a layer.

    Parameters
    ----------
    start, trained : list of arrays
        From the same batch; the start is made anew from the seed.
    history : list of (int, list of dict)
        Steps, and what :func:`statistics` recorded there.
    """

    start: list[np.ndarray]
    trained: list[np.ndarray]
    history: list[tuple[int, list[dict[str, Any]]]]

    def _repr_html_(self) -> str:
        layers = enumerate(zip(self.start, self.trained, strict=True), 1)
        rows = [[str(i), *map(_in_words, pair)] for i, pair in layers]
        headings = ("layer", "at the start: median (range)", "trained: median (range)")
        return cards.framed("Time constants of the units, in steps", cards.listed(headings, rows))


def _in_words(constants: np.ndarray) -> str:
    return f"{cards.number(np.median(constants), 4)} ({cards.number(constants, 4)})"


def of_run(
    folder: str | Path, *, split: Split = "valid", rows: int = 32, data_dir: str | Path | None = None
) -> RunTimescales:
    """The time constants in the run of a folder, over the first rows of a split.

    Raises
    ------
    InvalidArgument
        There is no run with weights, or its cell has no forget gate.
    """
    path = Path(folder)
    if not (path / SETTINGS).exists():
        raise InvalidArgument(f"{path} is not the folder of a run: there is no {SETTINGS}")
    whole("rows", rows, 1, 2**24)
    settings = settings_of(path)
    task = make_task(settings.task, data_dir)
    batch = task.batch(split, 0, rows, settings.seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(settings.seed)
        start, _ = started(settings, task)
    kind = next(start.parameters()).dtype
    if batch.inputs.is_floating_point():
        batch = replace(batch, inputs=batch.inputs.to(kind))
    lines = (line for line in read_metrics(path) if line["kind"] == "gates")
    history = [(line["step"], line["layers"]) for line in lines]
    return RunTimescales(timescales(start, batch), timescales(load_network(path, settings, task), batch), history)
