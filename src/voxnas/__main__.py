"""``python -m voxnas``."""

import sys

from voxnas.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
