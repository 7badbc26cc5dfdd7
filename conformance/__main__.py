"""`python -m conformance`."""

import sys

from conformance.command.entry import main

sys.exit(main())
