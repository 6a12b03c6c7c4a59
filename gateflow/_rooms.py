"""Some modules have the name of their main function: calling the module calls that function.

``gateflow.gate`` is a module with :class:`~gateflow.gate.Gate` in it, and ``gateflow.gate("fast")`` is a gate.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **keywords)

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)  # so that it may be sent to other processes


def callable_room(name: str) -> None:
    """Let the module ``name`` be called as the function of the same name that it holds."""
    sys.modules[name].__class__ = _Room
