"""What classes declare, read from the text of their modules: lists of parts need no import of what the parts need.

Only what stands there plainly is read: fields of data classes, arguments of ``__init__``, and class attributes, with
literal values or names of constants of the same module, in a class and in those of gateflow that it derives from.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gateflow.registry import source_of

EMPTY = inspect.Parameter.empty


def options(module: str, name: str) -> dict[str, Any]:
    """The options of a class with their defaults, ``EMPTY`` where there is none or it is no plain value.

    Examples
    --------
    >>> options("gateflow.progress", "Meter")["done"]
    0
    """
    found: dict[str, Any] = {}
    for home, node in reversed(list(_classes(module, name))):
        found |= _fields(home, node) if _is_dataclass(node) else _arguments(home, node)
    return found


def attribute(module: str, name: str, wanted: str) -> Any:
    """The plain value of an attribute of a class, or None."""
    for home, node in _classes(module, name):
        for part in node.body:
            targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == wanted for target in targets):
                value = _plain(home, getattr(part, "value", None))
                return None if value is EMPTY else value
    return None


def plain(module: str, name: str) -> Any:
    """The plain value of a constant of a module; ``EMPTY`` where it has none.

    Examples
    --------
    >>> plain("gateflow.progress", "PATIENCE")
    2.0
    """
    found = _found(module, name)
    return _plain(module, found[1].value) if found and isinstance(found[1], ast.Assign) else EMPTY


@lru_cache(maxsize=256)
def _body(module: str) -> dict[str, tuple[ast.stmt, str]]:
    """What each name of a module stands for: a statement, and the name it has where it comes from."""
    names: dict[str, tuple[ast.stmt, str]] = {}
    for part in ast.parse(source_of(module) or "").body:
        if isinstance(part, (ast.ClassDef, ast.FunctionDef)):
            names[part.name] = part, part.name
        elif isinstance(part, ast.ImportFrom):
            names |= {each.asname or each.name: (part, each.name) for each in part.names}
        elif isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
            names[part.targets[0].id] = part, part.targets[0].id
    return names


def _found(module: str, name: str) -> tuple[str, ast.stmt] | None:
    """The module and the statement that a name comes from; None where it is not of gateflow."""
    part, called = _body(module).get(name, (None, ""))
    if isinstance(part, ast.ImportFrom):
        return _found(part.module, called) if part.module and part.module.startswith("gateflow.") else None
    if isinstance(part, ast.Assign) and isinstance(part.value, ast.Name):
        return _found(module, part.value.id)
    return None if part is None else (module, part)


def _classes(module: str, name: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """A class and those it derives from, nearest first."""
    found = _found(module, name)
    if found is None or not isinstance(found[1], ast.ClassDef):
        return
    yield found[0], found[1]
    for base in found[1].bases:
        if isinstance(base, ast.Name):
            yield from _classes(found[0], base.id)


def _is_dataclass(node: ast.ClassDef) -> bool:
    names = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
    return any(isinstance(each, ast.Name) and each.id == "dataclass" for each in names)


def _fields(module: str, node: ast.ClassDef) -> dict[str, Any]:
    fields = (part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name))
    own = (part for part in fields if not ast.unparse(part.annotation).startswith("ClassVar"))
    return {part.target.id: _plain(module, part.value) for part in own if isinstance(part.target, ast.Name)}


def _arguments(module: str, node: ast.ClassDef) -> dict[str, Any]:
    init = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    if init is None:
        return {}
    first = [*init.args.posonlyargs, *init.args.args]
    given = [None] * (len(first) - len(init.args.defaults)) + list(init.args.defaults)
    pairs = [*zip(first, given, strict=True), *zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)]
    return {argument.arg: _plain(module, value) for argument, value in pairs[1:]}


def _plain(module: str, value: ast.expr | None) -> Any:
    """A literal, or the literal that a name of the module stands for."""
    if isinstance(value, ast.Name):
        return plain(module, value.id)
    try:
        return EMPTY if value is None else ast.literal_eval(value)
    except ValueError:
        return EMPTY
