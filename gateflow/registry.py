"""Finds the one-file extensions of a folder, and those that other installed packages offer as entry points.

A gate, a loss, a solver or a figure is one module of its folder; its file name, with dashes for underscores, is its
name. Nothing is imported before it is asked for, so listing names costs a directory read, and what they are about the
first lines of their files.

The options that a class declares are read from the text of its module too: a list of tasks, cells or initialisers
imports no PyTorch. Only what stands there plainly is read: fields of data classes, arguments of ``__init__``, and class
attributes, with literal values or names of constants of the same module, in a class and in those of gateflow that it
derives from.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from gateflow.errors import GateflowError, UnknownName, unknown

EMPTY = inspect.Parameter.empty


class Registry(Mapping[str, Any]):
    """A read-only mapping from names to what the modules of ``package`` declare under ``attribute``.

    Parameters
    ----------
    kind : str
        What is listed, for messages: "gate", "solver", "figure".
    package : str
        The folder, as a package name; each public module in it is one entry.
    attribute : str
        The name each module must define.
    read : callable, optional
        Reads an entry from a TOML file of the folder, which is one too; its ``about`` says what it is about.

    Notes
    -----
    Another distribution adds an entry by an entry point in the group named like ``package``, which names a module.

    Examples
    --------
    >>> Registry("gate", "gateflow.gates.catalogue", "make")["fsat"]
    Traceback (most recent call last):
    gateflow.errors.UnknownName: unknown gate 'fsat'; did you mean 'fast'?
    """

    def __init__(self, kind: str, package: str, attribute: str, read: Callable[[Path], Any] | None = None) -> None:
        self.kind: str = kind
        self.package: str = package
        self.attribute: str = attribute
        self.read = read

    @cached_property
    def _modules(self) -> dict[str, str | EntryPoint | Path]:
        found: dict[str, str | EntryPoint | Path] = {point.name: point for point in entry_points(group=self.package)}
        found |= {file.stem: file for folder in _folders(self.package) for file in Path(folder).glob("*.toml")}
        for module in pkgutil.iter_modules(_folders(self.package)):
            if not module.name.startswith("_"):
                found[module.name.replace("_", "-")] = f"{self.package}.{module.name}"
        return dict(sorted(found.items()))

    @staticmethod
    def spelled(name: str) -> str:
        """A name as the registry spells it: in lower case, with dashes."""
        return str(name).strip().lower().replace("_", "-")

    def module(self, name: str) -> Any:
        """The module behind a name, imported.

        Raises
        ------
        RuntimeError
            There is a fault in it.
        """
        where = self._where(name)
        try:
            if isinstance(where, str):
                return importlib.import_module(where)
            return where if isinstance(where, Path) else where.load()
        except (ImportError, GateflowError):  # who asks knows how to get what is not installed
            raise
        except Exception as problem:
            raise self._broken(name, f"{type(problem).__name__}: {problem}") from problem

    def _broken(self, name: str, why: str) -> RuntimeError:
        return RuntimeError(
            f"the {self.kind} {self.spelled(name)} cannot be had, by a fault in {self.home(name)}: {why}"
        )

    def summary(self, name: str) -> str:
        """The first line of the module's docstring, read without importing it; empty if there is none."""
        home = self.home(name)
        if isinstance(home, Path):
            opening = re.search(r'^about\s*=\s*"(.*)"$', home.read_text(encoding="utf-8"), re.MULTILINE)
        else:
            opening = re.match(r'[rR]?"""\s*(.*?)\s*(?:"""|$)', source_of(home) or "", re.MULTILINE)
        return opening[1] if opening else ""

    def about(self, name: str) -> str:
        """All of the module's docstring as one paragraph, read without importing it; for a file its summary."""
        home = self.home(name)
        if isinstance(home, Path):
            return self.summary(name)
        opening = re.match(r'[rR]?"""(.*?)"""', source_of(home) or "", re.DOTALL)
        return " ".join(opening[1].split()) if opening else ""

    def home(self, name: str) -> Any:
        """The name of the module behind a name, which is not imported, or the path of its TOML file."""
        where = self._where(name)
        return where if isinstance(where, (str, Path)) else where.module

    def _where(self, name: str) -> str | EntryPoint | Path:
        key = self.spelled(name) if isinstance(name, str) else ""
        if key in self._modules:
            return self._modules[key]
        raise UnknownName(unknown(self.kind, name, self._modules))

    def __getitem__(self, name: str) -> Any:
        found = self.module(name)
        if isinstance(found, Path) and self.read:
            return self.read(found)
        if not hasattr(found, self.attribute):
            raise self._broken(name, f"it has no {self.attribute}")
        return getattr(found, self.attribute)

    def make(self, text: str, **given: Any) -> Any:
        """What the class behind a name makes of the options in its text, over those that are ``given``.

        Examples
        --------
        >>> Registry("optimizer", "gateflow.descents.optimizers", "OPTIMIZER").make("momentum(beta=0.5)").beta
        0.5
        """
        from gateflow.guards.calls import make, name_and_options  # a list of names needs none of it

        name, options = name_and_options(text)
        return make(self.kind, name, self[name], options, given)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.spelled(name) in self._modules

    def _repr_html_(self) -> str:
        from gateflow.notebook.cards import framed, listed  # with NumPy, which a list of names does not need

        rows = [[name, self.summary(name)] for name in self]
        return framed(f"{len(rows)} of kind {self.kind}", listed(("name", "what"), rows))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Registry) and (self.package, self.attribute) == (other.package, other.attribute)

    def __hash__(self) -> int:
        return hash((self.package, self.attribute))

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


def _folders(package: str) -> Sequence[str]:
    """Where the modules of a package lie, found without importing it."""
    if package in sys.modules:
        return sys.modules[package].__path__
    spec = _spec_of(package)
    return (spec.submodule_search_locations if spec else None) or []


def source_of(module: str) -> str | None:
    """The text of a module that need not have been imported."""
    spec = _spec_of(module)
    return spec.loader.get_source(module) if spec and hasattr(spec.loader, "get_source") else None  # type: ignore[union-attr]


def _spec_of(module: str) -> ModuleSpec | None:
    parent = module.rpartition(".")[0]
    return PathFinder.find_spec(module, _folders(parent) if parent else None)


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
    found = _find(module, name)
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


def _find(module: str, name: str) -> tuple[str, ast.stmt] | None:
    """The module and the statement that a name comes from; None where it is not of gateflow."""
    part, called = _body(module).get(name, (None, ""))
    if isinstance(part, ast.ImportFrom):
        return _find(part.module, called) if part.module and part.module.startswith("gateflow.") else None
    if isinstance(part, ast.Assign) and isinstance(part.value, ast.Name):
        return _find(module, part.value.id)
    return None if part is None else (module, part)


def _classes(module: str, name: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """A class and those it derives from, nearest first."""
    found = _find(module, name)
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
