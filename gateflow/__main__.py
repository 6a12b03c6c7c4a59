"""``python -m gateflow``, and the program ``gateflow``."""

import gc
import os
import sys


def run() -> int:
    """Run the command line; Ctrl-C is heard also while it is being imported."""
    open_streams()
    prepare()
    try:
        from gateflow.runs import signals

        signals.interrupt()
        from gateflow.cli import main

        code = main()
        signals.give_up()
        return code
    except KeyboardInterrupt:
        print("gateflow: interrupted", file=sys.stderr)
        return 130


def prepare() -> None:
    """What suits a process that runs one command; before SymPy is imported."""
    os.environ.setdefault("SYMPY_CACHE_SIZE", "4000")  # four times its own: a sixth less time for a proof (measured)
    gc.set_threshold(20_000, 20, 50)  # as often as by default, the collector takes a sixth of a command's time


def open_streams() -> None:
    """Give standard input, output and error somewhere to go where they were closed.

    Else the first files that are opened would take their numbers, and get what C code writes there. An answer that is
    lost is an error: what stands for a closed standard output cannot be written to.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            way = os.O_RDONLY if name == "stdout" else os.O_RDWR
            os.set_inheritable(os.open(os.devnull, way), True)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(run())
