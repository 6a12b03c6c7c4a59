"""A run that is put to use: its network, how inputs are prepared for it, and what its answers are called.

What of the training data an answer needs, such as means and names of classes, is kept in the run beside its weights. So
a folder is enough: neither the data nor the task are asked for.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.guards.calls import name_and_options, name_of
from gateflow.progress import Meter
from gateflow.results.byvalue import by_value
from gateflow.training.folder import SETTINGS, kept_facts, load_network, settings_of
from gateflow.training.network import Network
from gateflow.training.settings import Settings, make_task
from gateflow.training.task import NewData, Task, pooled, served
from gateflow.training.tasks import TASKS
from gateflow.training.tasks._answers import Choice
from gateflow.training.tasks._rows import new_series
from gateflow.training.tasks._text import TextTask
from gateflow.training.texts import PredictedText, Vocabulary

AT_ONCE = 256
"""Sequences that are answered together."""

STEPS = 1024
"""Tokens of a text that are answered together."""

_TOO_LARGE = "some are too large for the network"

BEST = 5
"""The likeliest tokens that are kept."""


class Prepared(nn.Module):
    """A network behind its preparation: from numbers as they stand in files to answers in the units of the data.

    Parameters
    ----------
    network : Network
    facts : mapping
        What :func:`gateflow.training.task.served` kept of the task.
    """

    mean: Tensor
    deviation: Tensor
    target_mean: Tensor
    target_deviation: Tensor

    def __init__(self, network: Network, facts: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        kind = network.readout.weight.dtype
        for name, default in (("mean", 0.0), ("deviation", 1.0), ("target_mean", 0.0), ("target_deviation", 1.0)):
            self.register_buffer(name, torch.tensor(facts.get(name) or [default], dtype=torch.float64))
        self.takes_tokens, self.scales = network.embedding is not None, facts.get("mean") is not None
        self.rescales, self.dtype = facts.get("target_mean") is not None, kind

    def prepared(self, series: Tensor) -> Tensor:
        """Series as the network takes them: as the data were prepared for training, to the same last bit."""
        series = ((series.double() - self.mean) / self.deviation).float() if self.scales else series
        return series.to(self.dtype)

    def forward(self, series: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answers to series, (batch, time, channels), or to tokens, (batch, time): logits of classes, or values."""
        if not self.takes_tokens:
            series = self.prepared(series)
        answers = self.network(series, None, lengths)[0]
        return answers.double() * self.target_deviation + self.target_mean if self.rescales else answers


@by_value
@dataclass(frozen=True)
class Predicted:
    """Answers to new data.

    Parameters
    ----------
    names : tuple of str
        What was answered: numbers of series or of rows, from 1; with the step, where each step is answered.
    answers : array (n, outputs)
        Probabilities of the classes; else values, in the units of the data.
    columns : tuple of str
        What the outputs are called.
    classes : tuple of str, or None
        The likeliest class of each; None where values are answered.
    given : tuple of str
        The classes that the data have, where they have any.
    """

    names: tuple[str, ...]
    answers: np.ndarray
    columns: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    given: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """The share of given classes that were found; None where none are given."""
        if not self.given or self.classes is None:
            return None
        return sum(a == b for a, b in zip(self.classes, self.given, strict=True)) / len(self.given)

    def __repr__(self) -> str:
        what = "values" if self.classes is None else f"{len(self.columns)} classes"
        return f"<Predicted of {len(self.names)}: {what}>"


@dataclass(frozen=True, eq=False, repr=False)
class Trained:
    """A trained network as :func:`load` finds it.

    Parameters
    ----------
    settings : Settings
        Of the run.
    network : Network
        With the weights that were kept, in eval mode.
    facts : dict
        How inputs are prepared, and what answers are called.
    """

    settings: Settings
    network: Network
    facts: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Trained on {self.settings.task}: {self.settings.cell}, {self.settings.hidden} units>"

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, in the order of the network's outputs; None where it answers with values.

        Classes that have no names are called by their numbers, from 0; those of a language model are its tokens.
        """
        found = self.facts.get("classes")
        if found is None and issubclass(self._task, Choice):
            found = map(str, range(self.facts["output_size"]))
        return None if found is None else tuple(found)

    @property
    def _task(self) -> type[Task]:
        return TASKS.get(name_of(self.settings.task), Task)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens of a language model, with ``encode`` and ``decode`` for texts; None for other networks."""
        if not issubclass(self._task, TextTask):
            return None
        options = {**name_and_options(self.settings.task)[1], **self.facts}
        kept = {name: options[name] for name in ("punctuation",) if name in options}
        return Vocabulary(self._task, tuple(self.facts["classes"]), kept)

    @cached_property
    def module(self) -> Prepared:
        """The network behind its preparation, in eval mode: what :func:`gateflow.training.export` writes.

        That of a language model takes tokens, (batch, time), to the logits of the token after each.
        """
        return Prepared(self.network, self.facts).eval()

    def predict(self, data: str | Path | np.ndarray | Sequence[np.ndarray], *, labelled: bool = True) -> Predicted:
        """Answers to the data of a file, or to series.

        Parameters
        ----------
        data : path, array (n, time) or (n, time, channels), or a sequence of arrays (time, channels)
            A file of a kind that the task reads, or ``.npz`` with an array ``x``.
        labelled : bool
            Whether series in a file have classes, as those of the training have; ``?`` stands for one not known.

        Raises
        ------
        InvalidArgument
            The data are not of the kind that the network was trained with.
        """
        if self.facts["tokens"]:
            name = name_of(self.settings.task)
            way = "predict_text answers texts" if self.vocabulary else "ask trained.module in Python"
            raise InvalidArgument(f"{name} reads tokens: {way}")
        new = self._read(Path(data).expanduser(), labelled) if isinstance(data, (str, Path)) else as_new(data)
        channels = self.facts["input_size"]
        for name, one in zip(new.names, new.series, strict=True):
            if one.ndim != 2 or one.shape[1] != channels or not len(one):
                raise InvalidArgument(
                    f"{name}: a series must be (time, {channels}), as those of the training; got {one.shape}"
                )
        blocks = range(0, len(new.series), AT_ONCE)
        found = [self._answers(new.series[n : n + AT_ONCE], new.names[n : n + AT_ONCE]) for n in blocks]
        answers = np.concatenate(found) if found else np.zeros((0, self.facts["output_size"]))
        names = new.names
        if self.facts["every_step"]:
            steps = new.asked or [list(range(len(one))) for one in new.series]
            starts = np.cumsum([0, *map(len, new.series)])
            places = [start + t for start, asked in zip(starts, steps, strict=False) for t in asked]
            names = tuple(f"{name}, step {t + 1}" for name, asked in zip(names, steps, strict=True) for t in asked)
            answers = answers[places]
        if not np.isfinite(answers).all():
            first = names[int(np.isfinite(answers).all(1).argmin())]
            raise InvalidArgument(f"{first}: the answer is not finite; {_TOO_LARGE}")
        if self.classes is None:
            return Predicted(names, answers, tuple(self.facts.get("targets") or _numbered(answers.shape[1])))
        likeliest = tuple(self.classes[n] for n in answers.argmax(1))
        return Predicted(names, answers, self.classes, likeliest, new.given)

    def predict_text(self, data: str | Path | Tensor | np.ndarray | Sequence[int]) -> PredictedText:
        """How likely a language model finds a text, token by token, and what it expects next.

        The text is read from its beginning to its end with one state, which begins at zero; each token after the first
        is answered once, after all before it.

        Parameters
        ----------
        data : path, or tokens (n,) of int
            A text file, UTF-8, plain or .gz; or what ``vocabulary.encode`` gave.

        Raises
        ------
        InvalidArgument
            The network is no language model, there is no text, or it has fewer than two tokens.

        Examples
        --------
        >>> import tempfile
        >>> from gateflow.training import load, train
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = Path(folder, "text.txt")
        ...     _ = text.write_text("open and shut, " * 20)
        ...     _ = train(f"characters(text='{text}', window=5)", hidden=4, batch=4, steps=2, out=f"{folder}/run")
        ...     trained = load(f"{folder}/run")
        >>> tokens = trained.vocabulary.encode("open and ")
        >>> found = trained.predict_text(tokens)
        >>> sorted(found.measures), found.losses.shape, len(found.expected(-1))
        (['accuracy', 'bits_per_character', 'loss'], (8,), 5)
        """
        vocabulary = self.vocabulary
        if vocabulary is None:
            raise InvalidArgument(f"{name_of(self.settings.task)} is no task of texts: ask predict")
        if isinstance(data, (str, Path)):
            numbers, unknown = vocabulary.read(Path(data).expanduser())
        else:
            numbers, unknown = vocabulary.checked(data), {}
        if len(numbers) < 2:
            what = data if isinstance(data, (str, Path)) else "the text"
            raise InvalidArgument(f"{what} has too few {vocabulary.unit}s: {len(numbers)}, 2 at least")
        losses, guesses, chances = [], [], []
        state: Any = None
        with torch.no_grad(), Meter(f"{vocabulary.unit}s", len(numbers)) as meter:
            for start in range(0, len(numbers), STEPS):
                answers, state = self.network(numbers[None, start : start + STEPS], state)
                logs = answers[0].double().log_softmax(-1)
                after = numbers[start + 1 : start + 1 + STEPS]
                losses.append(-logs[: len(after)].gather(1, after[:, None])[:, 0])
                best = logs.topk(min(BEST, len(vocabulary)))
                guesses.append(best.indices)
                chances.append(best.values.exp())
                meter.update(min(start + STEPS, len(numbers)))
        lost, likeliest, chance = (torch.cat(parts).numpy() for parts in (losses, guesses, chances))
        counts = dict(Counter(unknown).most_common())
        return PredictedText(vocabulary, numbers.numpy(), lost, likeliest, chance, counts)

    def _answers(self, series: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
        """Answers to series, one after another; of each its steps one after another, where each is answered."""
        pool, longest = self.facts.get("pool", 1), self.facts.get("longest")
        prepared = [pooled(np.asarray(one, dtype=np.float64), pool)[:longest] for one in series]
        lengths = torch.tensor([len(one) for one in prepared])
        inputs = torch.zeros(len(prepared), int(lengths.max()), prepared[0].shape[1], dtype=torch.float64)
        for place, one in zip(inputs, prepared, strict=True):
            place[: len(one)] = torch.from_numpy(one)
        with torch.no_grad():
            fit = self.module.prepared(inputs).isfinite().flatten(1).all(1).tolist()
            if not all(fit):
                raise InvalidArgument(f"{names[fit.index(False)]}: not all numbers are finite, or {_TOO_LARGE}")
            answers = self.module(inputs, None if lengths.min() == lengths.max() else lengths).double()
        if self.facts["every_step"]:
            answers = torch.cat([one[:length] for one, length in zip(answers, lengths.tolist(), strict=True)])
        return (answers if self.classes is None else answers.softmax(-1)).numpy()

    def _read(self, path: Path, labelled: bool) -> NewData:
        if not os.path.lexists(path):
            raise InvalidArgument(f"there is no file {path}")
        found = self._task.read_new(path, self.facts, labelled=labelled)
        return new_series(path, labelled=False) if found is None else found


def load(run: str | Path) -> Trained:
    """The network of a run, how its inputs are prepared, and what its answers are called.

    Parameters
    ----------
    run : path
        The folder of a run; one that has not ended gives its best weights so far, and needs its data for it.

    Raises
    ------
    InvalidArgument
        There is no run with weights; or it was made before preparations were kept, and its data are not there.

    Examples
    --------
    >>> import tempfile
    >>> from gateflow.training import load, train
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = train("digits", hidden=8, steps=2, out=f"{folder}/digits")
    ...     trained = load(f"{folder}/digits")
    >>> trained.classes[:3], trained.module(torch.zeros(1, 8, 8)).shape
    (('0', '1', '2'), torch.Size([1, 10]))
    """
    path = Path(run)
    if not (path / SETTINGS).exists():
        raise InvalidArgument(f"{path} is not the folder of a run: there is no {SETTINGS}")
    settings, facts = settings_of(path), kept_facts(path)
    if facts is None:
        try:
            facts = served(make_task(settings.task))
        except GateflowError as problem:
            raise InvalidArgument(
                f"{path} does not keep how its data were prepared, and asks them: {problem}"
            ) from None
    kind = TASKS.get(name_of(settings.task))
    shape = {name: getattr(kind, name, None) for name in ("tokens", "every_step")}
    shape = {name: value for name, value in shape.items() if isinstance(value, bool)}  # else it depends on options
    if kind and not (kind.can_read(facts) and all(facts[name] == value for name, value in shape.items())):
        raise InvalidArgument(f"{path} does not keep what {name_of(settings.task)} reads new data by; train it anew")
    with torch.random.fork_rng([]):
        network = load_network(path, settings, Shape(facts)).eval()
    return Trained(settings, network, facts)


class Shape:
    """Of a task what a network is built from."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.input_size, self.output_size, self.length = facts["input_size"], facts["output_size"], facts["length"]
        self.tokens, self.every_step = facts["tokens"], facts["every_step"]


def as_new(data: np.ndarray | Sequence[np.ndarray]) -> NewData:
    """Series from arrays, one channel where there is no dimension of channels."""
    series = [np.asarray(one, dtype=np.float64) for one in data]
    series = [one[:, None] if one.ndim == 1 else one for one in series]
    return NewData(series, tuple(f"series {n}" for n in range(1, len(series) + 1)))


def _numbered(count: int) -> list[str]:
    return ["value"] if count == 1 else [f"value {n}" for n in range(1, count + 1)]
