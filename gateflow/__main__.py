"""``python -m gateflow``, and the program ``gateflow``."""

import sys


def run() -> int:
    """Run the command line; Ctrl-C is heard also while it is being imported."""
    try:
        from gateflow.cli import main

        return main()
    except KeyboardInterrupt:
        print("gateflow: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
