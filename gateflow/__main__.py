"""``python -m gateflow`` is ``gateflow``."""

import sys

from gateflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
