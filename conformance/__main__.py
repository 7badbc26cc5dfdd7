"""`python -m conformance`."""

import sys

from conformance.command.cli import main

sys.exit(main())
