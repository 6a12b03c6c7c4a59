"""Jobs that tests give to workers, which import them by name."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path


def root(n: int, pause: float = 0.0) -> dict[str, object]:
    """Numbers that show every bit, and what JSON has beside them."""
    time.sleep(pause)
    return {"n": n, "root": math.sqrt(n), "all": [math.sin(n / k) for k in range(1, 20)], "none": None}


def sometimes(n: int, mends: str) -> int:
    """Fails for odd n until the file ``mends`` is there."""
    if n % 2 and not os.path.exists(mends):
        raise ValueError(f"{n} is odd,\nand that is all")
    return n


def nothing(n: int) -> None:
    """A result like any other."""


def unwritable(n: int) -> object:
    """What JSON cannot hold."""
    return {1, 2}


def dies_once(n: int, mark: str) -> int:
    """The first process that is asked kills itself."""
    try:
        open(mark, "x").close()
    except FileExistsError:
        return n
    return os.kill(os.getpid(), 9) or -1


def dies(n: int) -> None:
    """Every process that is asked ends itself at once."""
    os._exit(9)


def patient(n: int, folder: str, stop) -> str:
    """Works until it is told to stop, and leaves word of it."""
    Path(folder, f"begun-{n}").touch()
    for _ in range(3000):
        if stop():
            Path(folder, f"stopped-{n}").touch()
            return "stopped"
        time.sleep(0.01)
    return "finished"
