"""Pickles that are looked through before others read them: what they hold, written out, must not be much.

A tuple of twice a tuple of twice a tuple is a few bytes a level. Its hash, which a reader takes of a key, takes twice
as long with each, within one instruction that nothing stops.
"""

from __future__ import annotations

import pickletools
from typing import IO, Any

MOST_PARTS = 10_000
"""Parts that a value which may be a key has at most, those of its parts among them; a tensor's have some tens."""

MOST_STEPS = 5_000_000
"""Operations of one pickle, at most; thirty make a tensor."""

_FILLING = ("LIST", "DICT", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
"""What fills values that are no keys: what is in them does not count, and keys were looked at when they were made."""


def check_pickles(file: IO[bytes], count: int = 1) -> None:
    """Look through a number of pickles, one after another, without making anything of them.

    Raises
    ------
    ValueError
        A value in them has too many parts, or they are broken.

    Examples
    --------
    >>> import io, pickle
    >>> twice = ()
    >>> for _ in range(40):
    ...     twice = (twice, twice)
    >>> check_pickles(io.BytesIO(pickle.dumps({"a": (1, 2)})))
    >>> check_pickles(io.BytesIO(pickle.dumps(twice)))
    Traceback (most recent call last):
        ...
    ValueError: a value in its pickle has over 10000 parts
    """
    for _ in range(count):
        _check_one(file)


def _check_one(file: IO[bytes]) -> None:
    stack: list[int | None] = []  # parts of each value; None for a mark
    memo: dict[int, int] = {}
    try:
        for done, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if done > MOST_STEPS:
                raise ValueError(f"its pickle has over {MOST_STEPS} operations")
            _step(operation.name, operation, argument, stack, memo)
    except (IndexError, KeyError):
        raise ValueError("its pickle is broken") from None


def _step(name: str, operation: Any, argument: Any, stack: list[int | None], memo: dict[int, int]) -> None:
    if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
        memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1] or 0
        return
    if name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(argument)])
        return
    if name == "MARK":
        stack.append(None)
        return
    if name in ("DUP", "POP", "POP_MARK", "STOP", "PROTO", "FRAME"):
        _shuffle(name, stack)
        return
    taken = 0
    before = operation.stack_before
    if pickletools.markobject in before:
        while (top := stack.pop()) is not None:
            taken += top
        before = before[: before.index(pickletools.markobject)]
    for _ in before:
        taken += stack.pop() or 0
    taken *= name not in _FILLING
    if taken > MOST_PARTS:
        raise ValueError(f"a value in its pickle has over {MOST_PARTS} parts")
    stack.extend(taken + 1 for _ in operation.stack_after)


def _shuffle(name: str, stack: list[int | None]) -> None:
    if name == "DUP":
        stack.append(stack[-1])
    elif name == "POP":
        stack.pop()
    elif name == "POP_MARK":
        while stack.pop() is not None:
            pass
