"""Everything a training run depends on, in one frozen record: read from TOML, flags or keywords, written back as TOML.

A part that has options of its own is written with them, ``adding(horizon=100)``, ``chrono(horizon=784)``,
``sgd(momentum=0.9)``: a name, and in brackets what could stand in the braces of a TOML inline table.
What the user leaves open is filled in by the method, then by the cell, then by the task, then by the trainer.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from gateflow import files
from gateflow.errors import InvalidArgument, shown
from gateflow.registry import Registry
from gateflow.results.byvalue import by_value

MOST = {"batch": 2**24, "threads": 1024, "seed": 2**63 - 1}
"""Bounds past which a slip of the pen is likelier than a wish, or PyTorch takes no number."""

LONGEST = 1 << 18
"""Bytes of a file of settings."""

PRECISIONS = ("float32", "float64", "bfloat16")
"""``bfloat16`` is mixed: the weights and their updates are float32."""


def _note(text: str, default: Any = dataclasses.MISSING) -> Any:
    return field(default=default, metadata={"help": text})


@by_value
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made from: two runs of equal settings on one machine are equal to the last bit.

    Examples
    --------
    >>> Settings(task="adding(horizon=20)", lr=1e-3).lr
    0.001
    >>> Settings(task="adding", hidden=0)
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: hidden must be at least 1; got 0
    """

    task: str = _note("What to learn, with its options.")
    cell: str = _note("The recurrent layer, with its options.", "lstm")
    forget_gate: str | None = _note("Gate that holds the state: a name or a formula.", None)
    input_gate: str | None = _note("Input gate.", None)
    output_gate: str | None = _note("Output gate.", None)
    tied: bool | None = _note("The input gate is 1 - f.", None)
    init: str = _note("How the gates' biases start; none for PyTorch's own.", "chrono")
    hidden: int = _note("Units of a layer.", 64)
    layers: int = _note("Layers.", 1)
    dropout: float = _note("Share of what passes between layers that is dropped.", 0.0)
    embedding: int | None = _note("Size of a token's vector; by default as the layers.", None)
    tie_embedding: bool = _note("One matrix reads tokens and writes them.", False)
    optimizer: str = _note("One of torch.optim, with its options.", "adam")
    lr: float = _note("Learning rate.", 2e-3)
    lr_of: str | None = _note("Factors of the learning rate by gate: forget=3, input=0.5.", None)
    schedule: str = _note("constant, or one of torch.optim.lr_scheduler, with its options.", "constant")
    weight_decay: float = _note("Weight decay, as the optimiser means it.", 0.0)
    clip: float = _note("Longest gradient; 0 for any.", 1.0)
    accumulate: int = _note("Batches summed up before a step.", 1)
    batch: int = _note("Sequences in a batch.", 32)
    steps: int = _note("Steps of the optimiser.", 4000)
    evaluate_every: int = _note("Steps between evaluations.", 200)
    log_every: int = _note("Steps between lines of the training loss.", 50)
    patience: int = _note("Evaluations without a better score before the run stops; 0 for no such stop.", 0)
    stop_when_solved: bool = _note("Stop at the first evaluation that solves the task.", False)
    precision: str = _note("float32, float64, or bfloat16 (mixed).", "float32")
    record_units: bool = _note("Record the path of every unit: see nn.timescales.statistics.", False)
    seed: int = _note("Of weights, data and noise.", 0)
    deterministic: bool = _note("Refuse operations that are not reproducible.", False)
    device: str = _note("cpu, cuda, or auto.", "auto")
    threads: int = _note("Threads of PyTorch; 0 for as many as it takes by itself.", 1)
    backend: str = _note("How the layers are computed.", "auto")

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
            part(getattr(self, name))

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
        told = {**method, **chosen}
        task = make_task(str(told["task"])) if task is None else task
        cell = cell_class(str(told.get("cell", cls.cell)))
        made = cls(**{**task.defaults, **cell.defaults, **told})  # type: ignore[arg-type]
        return made if epochs is None else made._lasting(epochs, task, chosen)

    def changed(self, chosen: Mapping[str, Any], task: Any) -> Settings:
        """These settings with some of them changed; ``epochs`` of ``task`` may stand for steps."""
        known(chosen, [*KINDS, "epochs"], "setting")
        rest = {name: value for name, value in chosen.items() if name != "epochs"}
        made = dataclasses.replace(self, **rest)
        epochs = chosen.get("epochs")
        return made if epochs is None else made._lasting(epochs, task, rest)

    def _lasting(self, epochs: Any, task: Any, chosen: Mapping[str, Any]) -> Settings:
        if "steps" in chosen:
            raise InvalidArgument("give steps or epochs, not both")
        epochs = as_kind(epochs, (float,), "epochs")
        if epochs <= 0:
            raise InvalidArgument(f"epochs must be above 0; got {epochs}")
        return dataclasses.replace(self, steps=self.steps_of(epochs, task))

    def steps_of(self, epochs: float, task: Any) -> int:
        """The steps in so many passes over the training data."""
        batches = task.batches("train", self.batch)
        if batches is None:
            raise InvalidArgument(f"{part(self.task)[0]} has no end to its data, and so no epochs: give steps")
        return max(1, math.ceil(epochs * batches / self.accumulate))

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, None left out."""
        return {name: value for name in KINDS if (value := getattr(self, name)) is not None}

    def as_toml(self) -> str:
        """What ``--config`` reads."""
        return "".join(f"{name} = {_written(value)}\n" for name, value in self.as_dict().items())

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

HELP: dict[str, str] = {each.name: each.metadata["help"] for each in fields(Settings)}


def read_toml(path: str | Path) -> dict[str, Any]:
    """The settings of a TOML file; what it does not say is not there.

    Raises
    ------
    InvalidArgument
        It is no TOML, or a key is no setting.
    """
    try:
        found = files.read_toml(Path(path), LONGEST)
    except OSError as problem:
        raise InvalidArgument(f"cannot read {path}: {problem.strerror}") from None
    except ValueError as problem:
        raise InvalidArgument(f"{path} is no TOML: {problem}") from None
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


# --- parts with options ---------------------------------------------------------------------------------------------

_PART = re.compile(r"\s*(?P<name>[^\W\d][\w.-]*)\s*(\((?P<inside>.*)\))?\s*", re.DOTALL)


def part(text: str) -> tuple[str, dict[str, Any]]:
    """Name and options of a part.

    Examples
    --------
    >>> part("adding(horizon=100)"), part("adam")
    (('adding', {'horizon': 100}), ('adam', {}))
    >>> part("chrono(100)")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: options have names, as in chrono(name=1, other="text"); got '100'
    """
    match = _PART.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidArgument(f"expected a name, perhaps with options, as in adding(horizon=100); got {shown(text)}")
    inside = (match["inside"] or "").strip()
    try:
        if "\n" in inside:
            raise ValueError
        options = files.from_toml(f"options = {{{inside}}}")["options"]
    except ValueError:
        name = match["name"]
        raise InvalidArgument(f'options have names, as in {name}(name=1, other="text"); got {shown(inside)}') from None
    return match["name"], options


def with_options(text: str, more: Mapping[str, Any]) -> str:
    """A part with further options, which win.

    Examples
    --------
    >>> with_options("adding(horizon=10)", {"horizon": 20, "seed": 1})
    'adding(horizon=20, seed=1)'
    """
    name, options = part(text)
    options = {**options, **more}
    inside = ", ".join(f"{option}={_written(value)}" for option, value in options.items())
    return f"{name}({inside})" if inside else name


def option_value(text: str) -> Any:
    """The value of an option as written on a command line: a TOML value, else the text itself.

    Examples
    --------
    >>> option_value("100"), option_value("true"), option_value("bible.txt")
    (100, True, 'bible.txt')
    """
    try:
        if "\n" in text:
            return text
        return files.from_toml(f"value = {text}")["value"]
    except ValueError:
        return text


def make_task(text: str, data_dir: str | Path | None = None) -> Any:
    """The task behind its text; ``data_dir`` is where its files are looked for, if it has any."""
    from gateflow.training.tasks import TASKS

    if data_dir is None:
        return _made(TASKS, text)
    if "data_dir" not in option_defaults(TASKS[part(text)[0]]):
        raise InvalidArgument(f"the task {part(text)[0]} looks for no files in a folder: leave out --data-dir")
    return _made(TASKS, text, {"data_dir": str(data_dir)})


def make_init(text: str, length: int) -> Any:
    """The initialiser behind its text, or None; ``horizon``, where it has one that is not given, is the length."""
    from gateflow.nn.inits import INITS

    if text.strip() == "none":
        return None
    takes = INITS.spelled(part(text)[0]) in INITS and "horizon" in option_defaults(INITS[part(text)[0]])
    return _made(INITS, text, {"horizon": length} if takes else {})


def cell_class(text: str) -> Any:
    """The class of the recurrent layer that a text names."""
    from gateflow.nn.cells import CELLS

    return CELLS[part(text)[0]]


def _made(registry: Registry, text: str, given: Mapping[str, Any] | None = None) -> Any:
    name, options = part(text)
    make = registry[name]
    options = checked_options(f"{registry.kind} {name}", option_defaults(make), options)
    told = {**(given or {}), **options}
    needed = [each for each, default in option_defaults(make).items() if default is inspect.Parameter.empty]
    if lacking := [each for each in needed if each not in told]:
        shown = ", ".join(f"{each}=..." for each in needed)
        raise InvalidArgument(f"the {registry.kind} {name} needs {' and '.join(lacking)}, as in {name}({shown})")
    return make(**told)


def option_defaults(make: Any) -> dict[str, Any]:
    """The options of a class or function by name, with their defaults; ``inspect.Parameter.empty`` for none."""
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(make).parameters.values()
    return {option.name: option.default for option in found if option.kind not in skipped}


def checked_options(what: str, defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that have a default, as numbers or texts like that."""
    options = {name.replace("-", "_"): value for name, value in options.items()}
    known(options, list(defaults), f"option of the {what}")
    return {name: _like(value, defaults[name], f"{name} of the {what}") for name, value in options.items()}


def _like(value: Any, default: Any, name: str) -> Any:
    """A value of the type of the default; where that is a whole number any number may do, as momentum=0 shows."""
    if isinstance(default, tuple):
        fits = isinstance(value, list) and len(value) == len(default)
        if not fits or any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in value):
            raise InvalidArgument(f"{name} takes {len(default)} numbers, as in {_written(default)}; got {shown(value)}")
        return tuple(value)
    if isinstance(default, int) and not isinstance(default, bool) and isinstance(value, float):
        return int(value) if value.is_integer() else as_kind(value, (float,), name)
    return as_kind(value, (type(default),), name) if isinstance(default, (bool, int, float, str)) else value


def _method(name: str) -> dict[str, Any]:
    from gateflow.training.methods import METHODS

    known([name], list(METHODS), "method")
    return dict(METHODS[name].settings)


# --- checks ---------------------------------------------------------------------------------------------------------

NOUNS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", types.NoneType: "nothing"}


def as_kind(value: Any, kinds: tuple[type, ...], name: str) -> Any:
    """A value as one of the types allowed, where nothing is lost by it.

    Examples
    --------
    >>> as_kind(1, (float,), "lr"), as_kind(4000.0, (int,), "steps")
    (1.0, 4000)
    """
    if type(value) is int and abs(value) >= files.LARGEST:
        raise InvalidArgument(f"{name} must be below 2**63; got a number of {value.bit_length()} bits")
    if isinstance(value, str) and not files.is_unicode(value):
        raise InvalidArgument(f"{name} holds a character that has no UTF-8: {ascii(value)[:60]}")
    for kind in kinds:
        if type(value) is kind and not (isinstance(value, float) and not math.isfinite(value)):
            return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise InvalidArgument(f"{name} must be finite; got {value}")
        if float in kinds:
            return float(value)
        if int in kinds and float(value).is_integer():
            return int(value)
    wanted = " or ".join(NOUNS.get(kind, kind.__name__) for kind in kinds if kind is not types.NoneType)
    raise InvalidArgument(f"{name} takes {wanted}; got {shown(value)}")


def known(names: Iterable[str], among: list[str], what: str) -> None:
    """Refuse a name that is not among those known."""
    for name in names:
        if name not in among:
            near = difflib.get_close_matches(str(name), among, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(among) or 'none'}"
            raise InvalidArgument(f"unknown {what} {name!r}; {hint}")


def one_of(name: str, value: str, among: Iterable[str]) -> None:
    """Refuse a word that is not among those known, naming the argument."""
    known([value], list(among), name)


def _at_least(least: float, name: str, value: Any) -> None:
    if value is not None and not value >= least:
        raise InvalidArgument(f"{name} must be at least {least}; got {value}")


def _written(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value, ensure_ascii=False)
