"""Everything a training run depends on, in one frozen record: read from TOML, flags or keywords, written back as TOML.

A part that has options of its own is written with them, ``adding(horizon=100)``, ``chrono(horizon=784)``,
``sgd(momentum=0.9)`` (:mod:`gateflow.guards.calls`). What the user leaves open is filled in by the method, then by the
cell, then by the task, then by the trainer. The options of the command line and their help are made from this record.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from gateflow import files
from gateflow.errors import InvalidArgument
from gateflow.guards.calls import as_kind, known, name_and_options, name_of, one_of, option_defaults, written
from gateflow.nn.cells import CELLS
from gateflow.nn.inits import INITS
from gateflow.nn.linear import LINEAR
from gateflow.results.byvalue import by_value
from gateflow.training.methods import METHODS
from gateflow.training.tasks import TASKS

MOST = {"batch": 2**24, "threads": 1024, "seed": 2**63 - 1}
"""Bounds past which a slip of the pen is likelier than a wish, or PyTorch takes no number."""

LONGEST = 1 << 18
"""Bytes of a file of settings."""

PRECISIONS = ("float32", "float64", "bfloat16")
"""``bfloat16`` is mixed: the weights and their updates are float32."""


@by_value
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made from: two runs of equal settings on one machine are equal to the last bit.

    Parameters
    ----------
    task
        What to learn, with its options.
    cell
        The recurrent layer, with its options: lstm, gru, mingru, 'nru(memory_size=64)'.
    forget_gate
        The gate that holds the state, or the decay of a linear one: a name or a formula.
    input_gate
        The input gate.
    output_gate
        The output gate.
    tied
        The input gate is 1 - f.
    init
        How the gates' biases start: chrono, matched, 'constant(bias=1)'; none for PyTorch's own.
    hidden
        Units of a layer.
    layers
        Layers.
    dropout
        Share of what passes between layers that is dropped.
    embedding
        Size of a token's vector; by default as the layers.
    tie_embedding
        One matrix reads tokens and writes them.
    start
        The folder of a run that has ended, whose weights this one begins with.
    optimizer
        One of torch.optim, with its options: adam, 'sgd(momentum=0.9)'.
    lr
        Learning rate.
    lr_of
        Factors of the learning rate by gate: 'forget=3, input=0.5'.
    schedule
        Of the learning rate: constant, cosine, 'step(step_size=1000)', plateau, ...
    weight_decay
        Weight decay, as the optimiser means it.
    clip
        Longest gradient; 0 for any.
    accumulate
        Batches summed up before a step.
    batch
        Sequences in a batch.
    steps
        Steps of the optimiser.
    evaluate_every
        Steps between evaluations.
    log_every
        Steps between records of the training loss.
    patience
        Evaluations without a better score before the run stops; 0 for no such stop.
    stop_when_solved
        Stop at the first evaluation that solves the task.
    precision
        float32, float64, or bfloat16 (mixed).
    record_units
        Record the path of every unit at each evaluation.
    seed
        Of weights, data and noise.
    deterministic
        Refuse operations that are not reproducible.
    device
        cpu, cuda, or auto.
    threads
        Threads of PyTorch, 0 for as many as it takes: more than 1 pay for large layers, and change the last bits.
    backend
        How the layers are computed.

    Examples
    --------
    >>> Settings(task="adding(horizon=20)", lr=1e-3).lr
    0.001
    >>> Settings(task="adding", hidden=0)
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: hidden must be at least 1; got 0
    """

    task: str
    cell: str = "lstm"
    forget_gate: str | None = None
    input_gate: str | None = None
    output_gate: str | None = None
    tied: bool | None = None
    init: str = "chrono"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    embedding: int | None = None
    tie_embedding: bool = False
    start: str | None = None
    optimizer: str = "adam"
    lr: float = 2e-3
    lr_of: str | None = None
    schedule: str = "constant"
    weight_decay: float = 0.0
    clip: float = 1.0
    accumulate: int = 1
    batch: int = 32
    steps: int = 4000
    evaluate_every: int = 200
    log_every: int = 50
    patience: int = 0
    stop_when_solved: bool = False
    precision: str = "float32"
    record_units: bool = False
    seed: int = 0
    deterministic: bool = False
    device: str = "auto"
    threads: int = 1
    backend: str = "auto"

    def __post_init__(self) -> None:
        for name, kinds in KINDS.items():
            object.__setattr__(self, name, as_kind(getattr(self, name), kinds, name))
        for name in ("hidden", "layers", "accumulate", "batch", "steps", "evaluate_every", "log_every", "embedding"):
            _at_least(1, name, getattr(self, name))
        for name in ("weight_decay", "clip", "patience", "threads", "seed"):
            _at_least(0, name, getattr(self, name))
        if self.lr <= 0:
            raise InvalidArgument(f"lr must be above 0, or nothing is learned; got {self.lr:g}")
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise InvalidArgument(f"{name} must be at most {most}; got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise InvalidArgument(f"dropout must lie in [0, 1); got {self.dropout}")
        one_of("precision", self.precision, PRECISIONS)
        multipliers(self.lr_of)
        for name in ("task", "cell", "init", "optimizer", "schedule"):
            name_and_options(getattr(self, name))

    @classmethod
    def of(cls, chosen: Mapping[str, Any], task: Any = None) -> Settings:
        """Settings from what the user chose, ``method`` among it, and the defaults of method, cell, task and trainer.

        Parameters
        ----------
        chosen : mapping
            Names of settings, or of `MORE`, to values. None stands for what was not chosen.
        task : Task, optional
            The task itself, where it is not one that its name makes.
        """
        chosen = {name: value for name, value in chosen.items() if value is not None}
        known(chosen, [*KINDS, *MORE], "setting")
        if "task" not in chosen:
            raise InvalidArgument("there is no task: name one, as in task = 'adding(horizon=100)'")
        method = _method(str(chosen.pop("method"))) if "method" in chosen else {}
        epochs = chosen.pop("epochs", None)
        given = {**method, **chosen}
        task = make_task(str(given["task"])) if task is None else task
        cell = cell_class(str(given.get("cell", cls.cell)))
        made = cls(**{**task.defaults, **cell.defaults, **given})  # type: ignore[arg-type]
        return made if epochs is None else made._for_epochs(epochs, task, chosen)

    def with_changes(self, chosen: Mapping[str, Any], task: Any) -> Settings:
        """These settings with some of them changed; ``epochs`` of ``task`` may stand for steps."""
        known(chosen, [*KINDS, "epochs"], "setting")
        rest = {name: value for name, value in chosen.items() if name != "epochs"}
        made = dataclasses.replace(self, **rest)
        epochs = chosen.get("epochs")
        return made if epochs is None else made._for_epochs(epochs, task, rest)

    def _for_epochs(self, epochs: Any, task: Any, chosen: Mapping[str, Any]) -> Settings:
        if "steps" in chosen:
            raise InvalidArgument("give steps or epochs, not both")
        epochs = as_kind(epochs, (float,), "epochs")
        if epochs <= 0:
            raise InvalidArgument(f"epochs must be above 0; got {epochs}")
        return dataclasses.replace(self, steps=self.steps_of(epochs, task))

    def steps_of(self, epochs: float, task: Any) -> int:
        """The steps in a number of passes over the training data."""
        batches = task.batches("train", self.batch)
        if batches is None:
            name = name_of(self.task)
            raise InvalidArgument(f"{name} has no end to its data, and so no epochs: give steps")
        return max(1, math.ceil(epochs * batches / self.accumulate))

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, None left out."""
        return {name: value for name in KINDS if (value := getattr(self, name)) is not None}

    def as_toml(self) -> str:
        """What ``--config`` reads."""
        return "".join(f"{name} = {written(value)}\n" for name, value in self.as_dict().items())

    def differences(self, other: Settings, besides: Iterable[str] = ()) -> list[tuple[str, Any, Any]]:
        """Name, own value and other value of each setting that differs."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in KINDS if name not in besides)
        return [found for found in pairs if found[1] != found[2]]


KINDS: dict[str, tuple[type, ...]] = {
    name: get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    for name, kind in get_type_hints(Settings).items()
}
"""The types of each setting."""

MORE = ("method", "epochs")
"""What may be said beside settings, and becomes settings: a name of a method, and passes over the data for steps."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """The settings of a TOML file; what it does not say is not there.

    Raises
    ------
    InvalidArgument
        It is no TOML, or a key is no setting.
    """
    with files.one_line("read", path, form="TOML"):
        found = files.read_toml(Path(path), LONGEST)
    known(found, [*KINDS, *MORE], f"setting in {path}")
    return found


def multipliers(text: str | None) -> dict[str, float]:
    """What ``lr_of`` says: the factors of the learning rate by gate.

    Raises
    ------
    InvalidArgument
        It is no list of names and numbers above 0.

    Examples
    --------
    >>> multipliers("forget=3, input=0.5"), multipliers(None)
    ({'forget': 3.0, 'input': 0.5}, {})
    >>> multipliers("forget")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: lr_of takes gates and factors, as in forget=3, input=0.5; got 'forget'
    """
    found: dict[str, float] = {}
    for each in text.split(",") if text is not None else ():
        name, _, value = (part.strip() for part in each.partition("="))
        try:
            factor = float(value)
        except ValueError:
            raise InvalidArgument(f"lr_of takes gates and factors, as in forget=3, input=0.5; got {text!r}") from None
        if name in found:
            raise InvalidArgument(f"lr_of says {name} twice")
        if not 0 < factor < math.inf:
            raise InvalidArgument(f"lr_of needs factors above 0; got {each.strip()}")
        found[name] = factor
    return found


# --- what the texts of settings stand for ---------------------------------------------------------------------------


def make_task(text: str, data_dir: str | Path | None = None) -> Any:
    """The task behind its text; ``data_dir`` is where its files are looked for, if it has any."""
    if data_dir is None:
        return TASKS.make(text)
    name = name_of(text)
    if "data_dir" not in option_defaults(TASKS[name]):
        raise InvalidArgument(f"the task {name} looks for no files in a folder: leave out --data-dir")
    return TASKS.make(text, data_dir=str(data_dir))


def make_init(text: str, length: int) -> Any:
    """The initialiser behind its text, or None; ``horizon``, where it has one that is not given, is the length."""
    if text.strip() == "none":
        return None
    name = name_of(text)
    given = {"horizon": length} if "horizon" in option_defaults(INITS[name]) else {}
    return INITS.make(text, **given)


def cell_class(text: str) -> Any:
    """The class of the recurrent layer that a text names, or of the layer with a linear state."""
    name = name_of(text)
    if name in LINEAR:
        return LINEAR[name]
    known([LINEAR.spelled(name)], sorted([*CELLS, *LINEAR]), "cell")
    return CELLS[name]


def _method(name: str) -> dict[str, Any]:
    known([name], list(METHODS), "method")
    return dict(METHODS[name].settings)


def _at_least(least: float, name: str, value: Any) -> None:
    if value is not None and not value >= least:
        raise InvalidArgument(f"{name} must be at least {least}; got {value}")
