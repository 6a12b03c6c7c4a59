"""Pickles that are looked through before others read them: what they hold, written out, must not be much.

A tuple of twice a tuple of twice a tuple is a few bytes a level. Its hash, which a reader takes of a key, takes twice
as long with each, within one instruction that nothing stops. So does a tensor made of such lists.
"""

from __future__ import annotations

import pickletools
from collections.abc import Sequence
from typing import IO, Any

MOST_PARTS = 10_000
"""Parts that a value which may be a key has at most, those of its parts among them; a tensor's have some tens."""

MOST_STEPS = 5_000_000
"""Operations of one pickle, at most; thirty make a tensor."""

MOST_HANDED = 4 * MOST_STEPS
"""Parts that all calls of one pickle get together, each written out."""

_FILLING = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
"""What fills values that are there already and are no keys."""

_MAKERS = ("bytearray", "_rebuild_device_tensor_from_cpu_tensor", "_rebuild_device_tensor_from_numpy")
"""What fills as much memory as a number says. PyTorch allows them, but writes no tensor of a CPU or GPU so."""

_ENCODE = "_codecs encode"

LONGEST_WORD = 100
"""Characters of names that are looked at."""


class _Value:
    """What is known of a value: its parts as far as a key has them, what is in it, and its name or text."""

    __slots__ = ("inside", "parts", "size", "word")

    def __init__(self, parts: int = 1, inside: Sequence[_Value] = (), word: str = "") -> None:
        self.parts, self.inside, self.word = parts, inside, word
        self.size = 0
        """Parts written out; 0 where they are not counted yet, below 0 while they are."""


def check_pickles(file: IO[bytes], count: int = 1) -> None:
    """Look through a number of pickles, one after another, without making anything of them.

    Raises
    ------
    ValueError
        A value in them has too many parts, they ask for much memory in few words, or they are broken.

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
    stack: list[_Value | None] = []  # None for a mark
    memo: dict[int, _Value] = {}
    handed: list[_Value] = []
    try:
        for done, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if done > MOST_STEPS:
                raise ValueError(f"its pickle has over {MOST_STEPS} operations")
            handed += _step(operation.name, operation, argument, stack, memo)
    except (IndexError, KeyError):
        raise ValueError("its pickle is broken") from None
    total = 0
    for value in handed:  # last, since lists may be filled after they were put into others
        total += _size(value)
        if total > MOST_HANDED:
            raise ValueError(f"calls in its pickle get over {MOST_HANDED} parts")


def _step(
    name: str, operation: Any, argument: Any, stack: list[_Value | None], memo: dict[int, _Value]
) -> list[_Value]:
    """Do an operation; what a call gets, if it is one."""
    if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
        memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1] or _Value()
        return []
    if name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(argument)])
        return []
    if name == "MARK":
        stack.append(None)
        return []
    if name in ("DUP", "POP", "POP_MARK", "STOP", "PROTO", "FRAME"):
        _shuffle(name, stack)
        return []
    taken: list[_Value] = []  # the last value first
    before = operation.stack_before
    if pickletools.markobject in before:
        while (top := stack.pop()) is not None:
            taken.append(top)
        before = before[: before.index(pickletools.markobject)]
    taken += [stack.pop() or _Value() for _ in before]
    word = argument if isinstance(argument, str) and len(argument) <= LONGEST_WORD else ""
    _check_names(name, word, taken)
    if name in _FILLING:
        *new, filled = taken
        if not isinstance(filled.inside, list):
            filled.inside = []
        filled.inside += new
        stack.append(filled)
        return new[:1] if name == "BUILD" else []
    parts = sum(each.parts for each in taken) * (name not in ("LIST", "DICT"))
    if parts > MOST_PARTS:
        raise ValueError(f"a value in its pickle has over {MOST_PARTS} parts")
    word = taken[0].word if name == "TUPLE2" else word
    stack.extend(_Value(parts + 1, taken or (), word) for _ in operation.stack_after)
    return taken if name in ("REDUCE", "NEWOBJ") else []


def _check_names(name: str, word: str, taken: list[_Value]) -> None:
    """Complain of what makes much of little: memory by a number, and texts in another code than `torch.save` writes."""
    if name in ("GLOBAL", "INST") and word.rpartition(" ")[2] in _MAKERS:
        raise ValueError(f"its pickle calls {word.replace(' ', '.')}")
    coded = [i for i, each in enumerate(taken) if each.word == _ENCODE]
    if coded and not (name == "REDUCE" and coded == [1] and taken[0].word == "latin1"):
        raise ValueError("its pickle encodes texts as torch.save does not")


def _size(value: _Value) -> int:
    """Parts of a value written out, at most one more than all calls may get.

    Raises
    ------
    ValueError
        It holds itself.
    """
    todo = [value]
    while todo:
        each = todo[-1]
        if each.size > 0:
            todo.pop()
        elif each.size < 0:
            each.size = min(1 + sum(part.size for part in each.inside), MOST_HANDED + 1)
        else:
            each.size = -1
            todo += [part for part in each.inside if part.size == 0]
            if any(part.size < 0 for part in each.inside):
                raise ValueError("a value in its pickle holds itself")
    return value.size


def _shuffle(name: str, stack: list[_Value | None]) -> None:
    if name == "DUP":
        stack.append(stack[-1])
    elif name == "POP":
        stack.pop()
    elif name == "POP_MARK":
        while stack.pop() is not None:
            pass
