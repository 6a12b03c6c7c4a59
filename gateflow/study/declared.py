"""Experiments as TOML files: what they may say, and how arms are made from lists.

A file has ``about`` and ``source`` in a line each, settings in ``[base]``, arms, ``seeds``, and whatever else
:class:`gateflow.study.experiment.Experiment` has. ``[arms]`` names each arm with its settings over the base, or arms
are crossed, the last list running fastest::

    [[arms]]
    name = "{gate}, T={T}"
    set = { task = "adding(horizon={T})", forget_gate = "{gate}" }
    over = { T = [100, 200], gate = ["fast", "sigmoid"] }

A list holds values, or tables whose names stand in braces each; a table of tables holds settings by a label; a word
stands for one of ``[lists]``, or for ``every gate`` and ``every method``. Where ``{T}`` is all of a text, the value
keeps its kind. ``extends`` names an experiment whose tables are filled up, and whose other entries are replaced, by
what the file says. ``of_prediction`` gives settings as multiples of an arm's ``predicted`` steps.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from gateflow import files
from gateflow.errors import GateflowError, InvalidArgument, shown
from gateflow.guards.arguments import fraction, whole
from gateflow.guards.calls import known
from gateflow.registry import Registry
from gateflow.study.analysis import fastest
from gateflow.study.experiment import MAKERS, Experiment, Question
from gateflow.study.rules import RULES
from gateflow.training.methods import METHODS
from gateflow.training.settings import KINDS, MORE, Settings

HERE = Path(__file__).parent / "experiments"
"""Where those are that come with gateflow."""

LONGEST = 1 << 20
"""Bytes of a file."""

_ARMS = ({str: {str: Any}}, [{"name": str}])

_SHAPE: dict[str, Any] = {
    "about": str,
    "source": str,
    "base": {str: Any},
    "arms": _ARMS,
    "seeds": int,
    "reduced": {str: Any},
    "reduced_arms": _ARMS,
    "reduced_seeds": int,
    "level": float,
    "needs": [str],
    "make": str,
    "score": str,
    "first": int,
    "consecutive": int,
    "questions": [{"name": str, "first": [str], "second": [str]}],
    "choose_from": str,
    "conclude": str,
    "sources": {str: str},
    "may_be_cut": bool,
    "extends": str,
    "lists": {str: ([Any], {str: {str: Any}})},
    "of_prediction": {str: Any},
}

_BLOCK = {
    "name": str,
    "set": {str: Any},
    "over": {str: ([Any], {str: {str: Any}}, str)},
    "told": {str: Any},
    "predicted": (int, str),
    "otherwise": {str: (int, str)},
}

FILLED = ("base", "reduced", "sources", "lists")
"""Tables of an experiment that is extended which keep what the new file does not say."""


def read(path: str | Path) -> Experiment:
    """The experiment of a TOML file.

    Raises
    ------
    InvalidArgument
        It cannot be read, or says what no experiment says.
    """
    path = Path(path)
    try:
        return _experiment(_table(path, ()), path)
    except GateflowError as problem:
        raise InvalidArgument(f"{path}: {problem}") from None


def check(plan: Experiment) -> None:
    """Complain of the first arm, in full or reduced, whose settings do not hold.

    Raises
    ------
    InvalidArgument
        With the name of the arm.
    """
    from gateflow.gates.gate import gate as as_gate

    for arm, reduced in ((arm, small) for small in (False, True) for arm in plan.arms_of(small)):
        try:
            made = Settings.of(plan.settings(arm, reduced=reduced))
            for gate in (made.forget_gate, made.input_gate, made.output_gate):
                if gate is not None:
                    as_gate(gate)
        except GateflowError as problem:
            raise InvalidArgument(f"arm {arm!r}{', reduced' if reduced else ''}: {problem}") from None


def _table(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says, with what it extends."""
    with files.one_line("read", "it", form="TOML"):
        found = files.read_toml(path, LONGEST)
    known(found, list(_SHAPE), "entry")
    for key, value in found.items():
        if not files.fits(value, _SHAPE[key]):
            raise InvalidArgument(f"{key} is not as an experiment has it")
    if (name := found.pop("extends", None)) is None:
        return found
    other = beside(path, name)
    if other in (*seen, path):
        raise InvalidArgument(f"extends {name!r}, which extends it")
    below = _table(other, (*seen, path))
    return below | {key: below.get(key, {}) | value if key in FILLED else value for key, value in found.items()}


def beside(path: Path, name: str) -> Path:
    """The file of another experiment: in the same folder, or one that comes with gateflow."""
    places = [folder / f"{name.removesuffix('.toml')}.toml" for folder in (path.parent, HERE)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InvalidArgument(f"there is no experiment {name!r} beside it")
    return found


def _experiment(found: dict[str, Any], path: Path) -> Experiment:
    """The experiment that a file says, all of it."""
    for key in ("about", "arms", "seeds"):
        if key not in found:
            raise InvalidArgument(f"it lacks {key}")
    for key in ("seeds", "reduced_seeds", "consecutive"):
        if found.get(key, 1) < 1:
            raise InvalidArgument(f"{key} must be at least 1; got {found[key]}")
    if not 0 < found.get("level", 1) <= 1:
        raise InvalidArgument(f"level must lie in (0, 1]; got {found['level']}")
    known([found.get("make", "train")], list(MAKERS), "make")
    lists = found.pop("lists", {})
    shares = found.pop("of_prediction", {})
    arms, told = _arms(found["arms"], lists, shares)
    reduced_arms = _arms(found["reduced_arms"], lists, {})[0] if "reduced_arms" in found else None
    for each in (found.get("base", {}), found.get("reduced", {}), *arms.values(), *(reduced_arms or {}).values()):
        known(each, [*KINDS, *MORE], "setting")
    plain = {each.name: found[each.name] for each in fields(Experiment) if each.name in found}
    made = {
        **plain,
        **told,
        "base": found.get("base", {}),
        "arms": arms,
        "reduced_arms": reduced_arms,
        "needs": tuple(found.get("needs", ())),
        "questions": tuple(_question(each, arms) for each in found.get("questions", ())),
    }
    if "conclude" in found:
        known([found["conclude"]], list(RULES), "conclude")
        made["conclude"] = RULES[found["conclude"]]
    if "choose_from" in found:
        made["choose"] = _choice(beside(path, found["choose_from"]))
    return Experiment(**made)


def _question(said: Mapping[str, Any], arms: Mapping[str, Any]) -> Question:
    known(said, ["name", "first", "second", "role"], "entry of a question")
    first, second = tuple(said["first"]), tuple(said["second"])
    groups = [*arms, *(arm.partition(", ")[0] for arm in arms)]
    known([*first, *second], groups, f"arm in the question {said['name']!r}:")
    return Question(said["name"], first, second, said.get("role", "plain"))


def _choice(path: Path) -> Any:
    """Names, from the stored results of another experiment, its quickest arm for each gate."""

    def chosen(results: Path) -> tuple[str, ...]:
        other = read(path)
        groups: dict[str, list[str]] = {}
        for arm in other.arms:
            groups.setdefault(arm.partition(", ")[0], []).append(arm)
        return fastest(other, results, path.stem, groups)

    return chosen


# --- arms -------------------------------------------------------------------------------------------------------------

Arms = dict[str, dict[str, Any]]


def _arms(said: Any, lists: Mapping[str, Any], shares: Mapping[str, Any]) -> tuple[Arms, dict[str, Any]]:
    """The arms with their settings, and what else is declared of each."""
    if isinstance(said, dict):
        return said, {}
    arms: Arms = {}
    told: dict[str, Any] = {"told": {}, "predicted": {}, "otherwise": {}}
    for block in said:
        known(block, list(_BLOCK), "entry of arms")
        for key, value in block.items():
            if not files.fits(value, _BLOCK[key]):
                raise InvalidArgument(f"{key} of the arms {block['name']!r} is not as arms have it")
        for words, settings in _points(block.get("over", {}), lists):
            name = str(_filled(block["name"], words))
            if name in arms:
                raise InvalidArgument(f"two arms are called {name!r}")
            arms[name] = _filled({**block.get("set", {}), **settings}, words)
            if "told" in block:
                told["told"][name] = _filled(block["told"], words)
            for other, steps in block.get("otherwise", {}).items():
                told["otherwise"].setdefault(other, {})[name] = _filled(steps, words)
            if "predicted" in block:
                told["predicted"][name] = steps = _filled(block["predicted"], words)
                arms[name] |= {key: _share(part, steps) for key, part in shares.items()}
    return arms, {key: value for key, value in told.items() if value}


def _share(part: Any, steps: Any) -> int:
    """A multiple or a fraction, as in 4 or "1/50", of a number of steps; at least one."""
    try:
        return max(1, int(fraction(part) * whole("predicted", steps)))
    except (ValueError, TypeError, ZeroDivisionError):
        raise InvalidArgument(f"of_prediction takes numbers and fractions, of whole steps; got {shown(part)}") from None


def _points(over: Mapping[str, Any], lists: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """For each point of the product of lists, what stands for the words in braces, and settings."""
    axes = [list(_values(name, said, lists)) for name, said in over.items()]
    for point in itertools.product(*axes):
        words = {key: value for each, _ in point for key, value in each.items()}
        yield words, {key: value for _, settings in point for key, value in settings.items()}


def _values(name: str, said: Any, lists: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if isinstance(said, str):
        said = _listed(said, lists)
    if isinstance(said, dict):
        yield from (({name: label}, settings) for label, settings in said.items())
    else:
        yield from ((value, {}) if isinstance(value, dict) else ({name: value}, {}) for value in said)


def _listed(word: str, lists: Mapping[str, Any]) -> Any:
    if word in lists:
        return lists[word]
    if word == "every gate":
        return list(Registry("gate", "gateflow.gates.catalogue", "make"))  # without SymPy, which lists do not need
    if word == "every method":
        return list(METHODS)
    raise InvalidArgument(f"there is no list {word!r}; there are {', '.join([*lists, 'every gate', 'every method'])}")


_BRACES = re.compile(r"\{(\w+)\}")


def _filled(said: Any, words: Mapping[str, Any]) -> Any:
    """A value with words in braces replaced, all through."""
    if isinstance(said, dict):
        return {key: _filled(value, words) for key, value in said.items()}
    if not isinstance(said, str):
        return said
    unknown = next((word for word in _BRACES.findall(said) if word not in words), None)
    if unknown is not None:
        raise InvalidArgument(f"{{{unknown}}} in {said!r} stands for nothing; there are {', '.join(words) or 'none'}")
    whole = _BRACES.fullmatch(said)
    return words[whole[1]] if whole else _BRACES.sub(lambda found: str(words[found[1]]), said)
