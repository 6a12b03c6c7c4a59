"""How a run ended, and how it shows itself in a notebook: what was trained, what became of it, and its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument, cut
from gateflow.notebook import cards
from gateflow.notebook.html import Html
from gateflow.results.byvalue import by_value
from gateflow.training.network import Network
from gateflow.training.settings import Settings

Measures = dict[str, float]


@by_value
@dataclass(frozen=True)
class Result:
    """How a run ended.

    Parameters
    ----------
    settings : Settings
    status : str
        ``finished``; ``solved`` or ``no better``, stopped early; ``not finite``, the loss or its gradient;
        ``interrupted``.
    steps : int
        Steps made.
    best_step : int
        The step of the best score on "valid", whose weights are kept.
    solved_at : int or None
        The first evaluation at which the task was solved.
    valid, test : dict
        The measures of the best weights; ``test`` is empty for a run that has not come to its end.
    seconds : float
        Spent in training, over all sessions.
    said : str
        How it ended, in words.
    """

    settings: Settings
    status: str
    steps: int
    best_step: int
    solved_at: int | None
    valid: Measures
    test: Measures
    seconds: float
    said: str = ""
    network: Network | None = field(default=None, repr=False, compare=False)
    metrics: list[dict[str, Any]] = field(default_factory=list, repr=False, compare=False)

    def __repr__(self) -> str:
        measured = ", ".join(f"{name} {value:.4g}" for name, value in (self.test or self.valid).items())
        return f"<Result of {self.settings.task}: {self.status} at step {self.steps}; {cut(measured)}>"

    def curve(self, measure: str, *, kind: str = "valid") -> tuple[np.ndarray, np.ndarray]:
        """What was recorded of a measure: the steps, shape (n,), and the values, shape (n, ...).

        Parameters
        ----------
        measure : str
            A measure of the task, or of what is recorded under ``kind``.
        kind : str
            ``valid``; ``train``; ``gates``, what the forget gates of the first layer do
            (:func:`gateflow.training.timescales.statistics`).

        Raises
        ------
        InvalidArgument
            Nothing of that name was recorded.

        Examples
        --------
        >>> from gateflow.training import train
        >>> result = train("adding(horizon=10)", steps=20, hidden=8, evaluate_every=10)
        >>> steps, constants = result.curve("timescales", kind="gates")
        >>> steps.tolist(), constants.shape
        ([0, 10, 20], (3, 11))
        """
        lines = [line | line["layers"][0] if kind == "gates" else line for line in self.metrics if line["kind"] == kind]
        found = [(line["step"], line[measure]) for line in lines if measure in line]
        if not found:
            raise InvalidArgument(f"no {measure!r} was recorded under {kind!r}")
        steps, values = zip(*found, strict=True)
        return np.array(steps), np.array(values, dtype=float)

    def _repr_html_(self) -> str:
        return run_card(self.settings, self.metrics, vars(self))


_SHOWN = ("cell", "forget_gate", "init", "hidden", "layers", "optimizer", "lr", "seed")
"""The settings on a card."""

_SPLITS = ("valid", "test")
_FACTS = ("status", "said", "steps", "best_step", "solved_at")


def run_card(settings: Settings, metrics: Sequence[Mapping[str, Any]], outcome: Mapping[str, Any]) -> Html:
    """The card of a run.

    Parameters
    ----------
    settings : Settings
    metrics : sequence of mapping
        The lines of its metrics, of which those on "valid" are drawn: the first of their measures.
    outcome : mapping
        As in :class:`Result`; what it lacks is left out.
    """
    made = settings.as_dict()
    chosen = ", ".join(f"{name.replace('_', ' ')} {made[name]}" for name in _SHOWN if name in made)
    rows = [(name.replace("_", " "), outcome.get(name)) for name in _FACTS]
    rows += [(f"{name}, {split}", cards.number(x)) for split in _SPLITS for name, x in _of(outcome, split)]
    rows.append(("seconds", cards.number(outcome.get("seconds"), 3)))
    return cards.framed(settings.task, cards.facts([("of", chosen), *rows]), picture=_curve(metrics))


def _of(outcome: Mapping[str, Any], split: str) -> list[tuple[str, Any]]:
    return list((outcome.get(split) or {}).items())


def _curve(metrics: Sequence[Mapping[str, Any]]) -> Html | None:
    lines = [line for line in metrics if line["kind"] == "valid"]
    measure = next((name for name in lines[0] if name not in ("step", "kind")), None) if lines else None
    if measure is None:
        return None
    found = [(line["step"], float(line[measure])) for line in lines if measure in line]
    return cards.curve(*zip(*found, strict=True), label="Validation", across="step", up=measure)
