"""The command `python -m tests.acceptance.hostile`."""

import sys

from tests.acceptance.hostile.run import main

if __name__ == "__main__":
    sys.exit(main())
