"""How a training run shows itself in a notebook: what was trained, what became of it, and its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateflow.notebook import cards
from gateflow.notebook.html import Html
from gateflow.training.settings import Settings

_SHOWN = ("cell", "forget_gate", "init", "hidden", "layers", "optimizer", "lr", "seed")
"""The settings that a card tells."""

_SPLITS = ("valid", "test")
_TOLD = ("status", "said", "steps", "best_step", "solved_at")


def run_card(settings: Settings, metrics: Sequence[Mapping[str, Any]], outcome: Mapping[str, Any]) -> Html:
    """The card of a run.

    Parameters
    ----------
    settings : Settings
    metrics : sequence of mapping
        The lines of its metrics, of which those on "valid" are drawn: the first of their measures.
    outcome : mapping
        As in :class:`gateflow.training.loop.Result`; what it lacks is left out.
    """
    made = settings.as_dict()
    chosen = ", ".join(f"{name.replace('_', ' ')} {made[name]}" for name in _SHOWN if name in made)
    rows = [(name.replace("_", " "), outcome.get(name)) for name in _TOLD]
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
