"""PyTorch's optimisers and schedules by name, with their options: ``sgd(momentum=0.9)``, ``step(step_size=1000)``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer, lr_scheduler

from gateflow.errors import InvalidArgument
from gateflow.guards.calls import as_kind, checked_options, known, name_and_options, option_defaults
from gateflow.nn.linear._stack import LinearStack
from gateflow.nn.recurrent import Recurrent
from gateflow.training.settings import Settings, multipliers

UNFIT = ("optimizer", "lbfgs", "sparseadam", "muon")
"""What is no optimiser of dense gradients of any shape, one gradient a step."""

NEED_MORE = ("lrscheduler", "lambdalr", "multiplicativelr", "sequentiallr", "chainedscheduler", "swalr")
"""Schedules that are made of functions or of other schedules, which no text can say."""

NOT_LINEAR = ("rprop", "asgd", "adafactor")
"""Optimisers whose steps are not proportional to the learning rate."""

OURS = ("optimizer", "last_epoch", "epochs", "steps_per_epoch", "scale_fn")
"""Options of schedules that the run says itself, or no text can."""

COUNTS = ("T_max", "T_0", "T_mult", "step_size", "step_size_up", "total_iters", "total_steps")
"""Options of schedules that count steps."""

SHORT = {
    "cosine": "cosineannealinglr",
    "plateau": "reducelronplateau",
    "one-cycle": "onecyclelr",
    "polynomial": "polynomiallr",
}
"""Names of schedules that are not PyTorch's without its ending."""


def optimizers() -> dict[str, Any]:
    """Every optimiser by its name in lower case."""
    return _classes(torch.optim, Optimizer, UNFIT)


def schedules() -> dict[str, Any]:
    """Every schedule by its name in lower case, without ``lr`` at its end; and under shorter names."""
    found = _classes(lr_scheduler, lr_scheduler.LRScheduler, NEED_MORE)
    plain = {name.removesuffix("lr"): kind for name, kind in found.items()}
    return plain | {short: found[name] for short, name in SHORT.items()}


def make_optimizer(settings: Settings, network: torch.nn.Module) -> Optimizer:
    """The optimiser of these settings, for the parameters that may change.

    Examples
    --------
    >>> settings = Settings(task="adding", optimizer="sgd(momentum=0.9)", lr=0.1)
    >>> make_optimizer(settings, torch.nn.Linear(2, 2)).defaults["momentum"]
    0.9
    """
    name, options = name_and_options(settings.optimizer)
    kinds = optimizers()
    known([name.lower()], sorted(kinds), "optimizer")
    kind = kinds[name.lower()]
    takes = option_defaults(kind)
    allowed = {option: default for option, default in takes.items() if option not in ("params", "lr")}
    options = checked_options(f"optimizer {name}", allowed, options)
    if settings.weight_decay:
        if "weight_decay" not in takes:
            raise InvalidArgument(f"the optimizer {name} knows no weight_decay")
        options.setdefault("weight_decay", settings.weight_decay)
    made = _construct(
        kind, name, [each for each in network.parameters() if each.requires_grad], lr=settings.lr, **options
    )
    if factors := multipliers(settings.lr_of):
        if name.lower() in NOT_LINEAR:
            raise InvalidArgument(f"lr_of: the steps of {name} are no multiple of the learning rate")
        _scale_steps(made, _rows_of(network, factors))
    return made


def _rows_of(network: torch.nn.Module, factors: Mapping[str, float]) -> list[tuple[Tensor, slice, float]]:
    """The rows of each gate in every weight of the recurrent layers, with their factor."""
    cells = [module for module in network.modules() if isinstance(module, (Recurrent, LinearStack))]
    gates = dict.fromkeys(block for cell in cells for block in cell.gates())
    known(factors, list(gates), "gate in lr_of")
    return [
        (weight, rows, factor)
        for cell in cells
        for block, factor in factors.items()
        if block in cell.gates()
        for weight, rows in cell.rows_of(block)
        if weight.requires_grad
    ]


def _scale_steps(optimizer: Optimizer, rows: list[tuple[Tensor, slice, float]]) -> None:
    """Let each step move these rows by a factor of what it would; what the optimiser remembers is not touched.

    A weight holds the rows of several gates, and a group of an optimiser whole weights; so the step is taken, and
    lengthened.
    """
    before: list[Tensor] = []

    def remember(*_: Any) -> None:
        before[:] = [weight.detach()[part].clone() for weight, part, _ in rows]

    def lengthen(*_: Any) -> None:
        with torch.no_grad():
            for (weight, part, factor), old in zip(rows, before, strict=True):
                weight[part] = old + factor * (weight[part] - old)

    optimizer.register_step_pre_hook(remember)
    optimizer.register_step_post_hook(lengthen)


def make_schedule(settings: Settings, optimizer: Optimizer, better: str) -> Any:
    """The schedule of these settings, or None for a constant rate.

    What a schedule needs and no one said follows from the number of steps: the cosine ends with the run, and the rate
    falls to a tenth at each third of it.
    """
    name, options = name_and_options(settings.schedule)
    if name.lower() == "constant":
        return None
    kinds = schedules()
    known([name.lower()], ["constant", *sorted(kinds)], "schedule")
    kind = kinds[name.lower()]
    takes = option_defaults(kind)
    given = {
        "T_max": settings.steps,
        "T_0": max(1, settings.steps // 4),
        "step_size": max(1, settings.steps // 3),
        "total_iters": settings.steps,
        "total_steps": settings.steps,
        "milestones": [settings.steps // 2, settings.steps * 3 // 4],
        "max_lr": settings.lr,
        "base_lr": settings.lr / 10,
        "gamma": 0.01 ** (1 / settings.steps) if name.lower() == "exponential" else None,
        "mode": {"lower": "min", "higher": "max"}[better] if kind is lr_scheduler.ReduceLROnPlateau else None,
    }
    options = checked_options(f"schedule {name}", {k: v for k, v in takes.items() if k not in OURS}, options)
    for option, value in options.items():
        if option in COUNTS and as_kind(value, (int,), f"{option} of the schedule {name}") < 1:
            raise InvalidArgument(f"{option} of the schedule {name} must be at least 1; got {value}")
        if option in ("max_lr", "base_lr", "gamma"):
            as_kind(value, (float,), f"{option} of the schedule {name}")
    if "total_steps" in takes and options.get("total_steps", settings.steps) < settings.steps:
        raise InvalidArgument(f"the schedule {name} ends at total_steps, before the run's {settings.steps} steps")
    filled = {key: value for key, value in given.items() if key in takes and value is not None}
    return _construct(kind, name, optimizer, **{**filled, **options})


def _construct(kind: Any, name: str, *arguments: Any, **options: Any) -> Any:
    try:
        return kind(*arguments, **options)
    except (TypeError, ValueError) as problem:
        raise InvalidArgument(f"{name}: {problem}") from None


def _classes(module: Any, base: type, without: tuple[str, ...]) -> dict[str, Any]:
    found = {name.lower(): kind for name, kind in vars(module).items() if inspect.isclass(kind)}
    return {
        name: kind
        for name, kind in found.items()
        if issubclass(kind, base) and name not in without and not name.startswith("_")
    }
