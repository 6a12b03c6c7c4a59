"""The lines of a shell and of Python that give what the page shows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from gateflow.explorer.asked import Asked


def lines(asked: Asked, shown: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The lines for what was asked; of gates without a flow there are none.

    Parameters
    ----------
    asked : Asked
    shown : sequence of dict
        What was found of each gate: its text, and its flow with the start z0.

    Examples
    --------
    >>> shown = [{"gate": "fast", "flow": {"z0": 0.0}}]
    >>> print(lines(Asked(gates=("fast",)), shown)["shell"])
    gateflow check fast
    gateflow flow fast --horizon 10 --gap 1e-06 --z0 0 --figure flow.svg
    gateflow step-size fast --horizon 10 --gap 1e-06 --z0 0 --optimizer sgd
    gateflow explore fast
    """
    starts = {one["gate"]: one["flow"]["z0"] for one in shown if "z0" in one.get("flow", {})}
    return {"shell": _shell(asked, starts), "python": _python(asked, starts)}


def _shell(asked: Asked, starts: dict[str, float]) -> str:
    names = list(starts)
    found = [["check", name] for name in names]
    if len(names) > 1:
        found.append(["rank", *names])
    for name, z0 in starts.items():
        problem = [name, *_flags(horizon=asked.horizon, gap=asked.gap), "--z0", _text(z0)]
        optimizer = ["--optimizer", asked.optimizer]
        figure = f"flow{names.index(name) + 1 if len(names) > 1 else ''}.svg"
        found.append(["flow", *problem, "--figure", figure])
        found.append(["step-size", *problem, *optimizer])
        if asked.noise:
            law = ["--scale-law", f"normal(1, {_text(asked.noise)})"]
            found.append(["noise", *problem, *law, "--lr", _text(asked.lr), *optimizer])
    if names:
        found.append(["explore", *names])
    return "\n".join(shlex.join(["gateflow", *words]) for words in found)


def _flags(**numbers: float) -> list[str]:
    return [word for name, value in numbers.items() for word in (f"--{name}", _text(value))]


def _python(asked: Asked, starts: dict[str, float]) -> str:
    if not starts:
        return ""
    inside = "\n".join(f"    {name!r}: {_text(z0)}," for name, z0 in starts.items())
    rank = f"print(gateflow.rank({list(starts)!r}))\n" if len(starts) > 1 else ""
    return f"""\
import gateflow

starts = {{
{inside}
}}
for name, z0 in starts.items():
    problem = gateflow.LearningProblem(name, horizon={_text(asked.horizon)}, gap={_text(asked.gap)})
    print(gateflow.membership(name))
    print(gateflow.hitting_time(problem, z0))
    print(gateflow.step_size(problem, z0, optimizer={asked.optimizer!r}))
{rank}gateflow.explore(list(starts))
"""


def _text(value: float) -> str:
    """A number as it is read back, digit for digit."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
