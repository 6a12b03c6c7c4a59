"""Some modules have the name of their main function: calling the module calls that function.

``gateflow.gate`` is a module with :class:`~gateflow.gate.Gate` in it, and ``gateflow.gate("fast")`` is a gate.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **keywords)

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)  # so that it may be sent to other processes


def callable_room(name: str) -> None:
    """Let the module ``name`` be called as the function of the same name that it holds, and tell so in its help."""
    module, short = sys.modules[name], name.rpartition(".")[2]
    signature = inspect.signature(getattr(module, short))
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    call = f"{short}{signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)}"
    about = (inspect.getdoc(getattr(module, short)) or "").partition("\n")[0]
    module.__doc__ = (
        f"{module.__doc__ or ''}\n\nThe module can be called: ``{call}``. {about} See :func:`{name}.{short}`.\n"
    )
    module.__signature__ = signature  # type: ignore[attr-defined]
    module.__class__ = _Room
