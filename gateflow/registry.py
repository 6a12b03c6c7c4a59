"""Finds the one-file extensions of a folder, and those that other installed packages offer as entry points.

A gate, a loss, a solver or a figure is one module of its folder; its file name, with dashes for underscores, is its
name. Nothing is imported before it is asked for, so listing names costs a directory read, and what they are about the
first lines of their files.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gateflow.errors import UnknownName, shown


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

    Notes
    -----
    Another distribution adds an entry by an entry point in the group named like ``package``, which names a module.

    Examples
    --------
    >>> Registry("gate", "gateflow.gates", "make")["fsat"]
    Traceback (most recent call last):
    gateflow.errors.UnknownName: unknown gate 'fsat'; did you mean 'fast'?
    """

    def __init__(self, kind: str, package: str, attribute: str) -> None:
        self.kind: str = kind
        self.package: str = package
        self.attribute: str = attribute

    @cached_property
    def _modules(self) -> dict[str, str | EntryPoint]:
        found: dict[str, str | EntryPoint] = {point.name: point for point in entry_points(group=self.package)}
        for module in pkgutil.iter_modules(_folders(self.package)):
            if not module.name.startswith("_"):
                found[module.name.replace("_", "-")] = f"{self.package}.{module.name}"
        return dict(sorted(found.items()))

    @staticmethod
    def spelled(name: str) -> str:
        """A name as the registry spells it: in lower case, with dashes."""
        return str(name).strip().lower().replace("_", "-")

    def module(self, name: str) -> Any:
        """The module behind a name, imported."""
        where = self._where(name)
        return importlib.import_module(where) if isinstance(where, str) else where.load()

    def summary(self, name: str) -> str:
        """The first line of the module's docstring, read without importing it; empty if there is none."""
        opening = re.match(r'[rR]?"""\s*(.*?)\s*(?:"""|$)', source_of(self.home(name)) or "", re.MULTILINE)
        return opening[1] if opening else ""

    def home(self, name: str) -> str:
        """The name of the module behind a name, which is not imported."""
        where = self._where(name)
        return where if isinstance(where, str) else where.module

    def _where(self, name: str) -> str | EntryPoint:
        key = self.spelled(name) if isinstance(name, str) else ""
        if key in self._modules:
            return self._modules[key]
        near = difflib.get_close_matches(key, self._modules, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._modules)}"
        raise UnknownName(f"unknown {self.kind} {shown(name)}; {hint}")

    def __getitem__(self, name: str) -> Any:
        return getattr(self.module(name), self.attribute)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.spelled(name) in self._modules

    def _repr_html_(self) -> str:
        from gateflow.glance import framed, listed  # with NumPy, which a list of names does not need

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
    spec = _found(package)
    return (spec.submodule_search_locations if spec else None) or []


def source_of(module: str) -> str | None:
    """The text of a module that need not have been imported."""
    spec = _found(module)
    return spec.loader.get_source(module) if spec and hasattr(spec.loader, "get_source") else None  # type: ignore[union-attr]


def _found(module: str) -> ModuleSpec | None:
    parent = module.rpartition(".")[0]
    return PathFinder.find_spec(module, _folders(parent) if parent else None)
