"""Command `python -m conformance compare OLD NEW`: what broke and what was mended between two runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.command.once_more import PROGRAM
from conformance.reporting.changes import BadReport, compare, read_report
from conformance.reporting.changes_text import FORMATS
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG = """\
exit status:
  0 nothing broke   1 a requirement broke that held before, or that was not judged before
  2 wrong usage, or a file is no report   4 nothing broke, but a requirement that held is not judged any more

`python -m conformance.reporting.comparison` makes a table of several brokers instead.
"""


def main(arguments: Sequence[str]) -> int:
    """Print the changes; returns the exit status. Raises SystemExit for arguments that can't be parsed."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} compare",
        description="Compares two reports of runs: what broke, what was mended.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("old", metavar="OLD", type=Path, help="report.json of the earlier run, or its folder")
    parser.add_argument("new", metavar="NEW", type=Path, help="report.json of the later run, or its folder")
    parser.add_argument(
        "--format", choices=list(FORMATS), default="text", help="form of the output (default: %(default)s)"
    )
    values = parser.parse_args(arguments)
    try:
        comparison = compare(read_report(values.old), read_report(values.new))
    except BadReport as error:
        print(f"{PROGRAM} compare: {error}", file=sys.stderr)
        return Exit.USAGE
    sys.stdout.write(FORMATS[values.format](comparison))
    return int(comparison.exit)
