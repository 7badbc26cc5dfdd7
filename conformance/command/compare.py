"""Command `python -m conformance compare`: what broke between two runs, or what several brokers keep.

`compare OLD NEW` prints what broke and what was mended; `compare --page FILE.md REPORT…` writes the pages of a table of
brokers.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.command.once_more import PROGRAM
from conformance.reporting import broker_html, broker_markdown
from conformance.reporting.broker_html import TooLarge
from conformance.reporting.broker_notes import BadNotes, check_notes, read_notes
from conformance.reporting.changes import BadReport, compare, read_report
from conformance.reporting.changes_text import FORMATS
from conformance.reporting.columns import read_columns
from conformance.verdicts.verdicts import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG = """\
exit status:
  0 nothing broke   1 a requirement broke that held before, or that was not judged before
  2 wrong usage, or a file is no report   4 nothing broke, but a requirement that held is not judged any more

examples:
  python -m conformance compare before/report.json after/report.json
  python -m conformance compare --page brokers.md reports/*     a table of brokers, and brokers.html with octets
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
    parser.add_argument(
        "reports",
        metavar="REPORT",
        nargs="+",
        type=Path,
        help="report.json of a run, or its folder: the earlier and the later one; with --page any number, of the same "
        "broker and transport too",
    )
    parser.add_argument(
        "--format", choices=list(FORMATS), default="text", help="form of the output (default: %(default)s)"
    )
    parser.add_argument(
        "--page",
        metavar="FILE.md",
        type=Path,
        help="compare brokers: write a Markdown page, and beside it an HTML page with the failures",
    )
    parser.add_argument(
        "--notes", metavar="FILE.toml", type=Path, help="notes about the brokers in words, for --page"
    )
    values = parser.parse_args(arguments)
    if values.page is None and values.notes is not None:
        parser.error("--notes go into a page: expected --page FILE.md, too")
    if values.page is None and len(values.reports) != 2:
        parser.error(
            f"expected two reports, found {len(values.reports)}; a table of brokers is made by --page"
        )
    if values.page is not None and values.page.suffix != ".md":
        parser.error(f"--page {values.page}: expected a name that ends in .md")
    try:
        if values.page is not None:
            return _write_pages(values)
        comparison = compare(*map(read_report, values.reports))
    except (BadReport, BadNotes, TooLarge, OSError) as error:
        print(f"{PROGRAM} compare: {error}", file=sys.stderr)
        return Exit.USAGE
    sys.stdout.write(FORMATS[values.format](comparison))
    return int(comparison.exit)


def _write_pages(values: argparse.Namespace) -> int:
    """Write both pages of a table of brokers. Raises BadReport, BadNotes, TooLarge or OSError."""
    columns, clauses = read_columns(values.reports)
    notes = read_notes(values.notes) if values.notes is not None else []
    check_notes(notes, columns)
    options = ["--page", str(values.page), *(["--notes", str(values.notes)] if values.notes else [])]
    command = f"{PROGRAM} compare {shlex.join(options)} REPORT…"
    html = values.page.with_suffix(".html")
    html_text = broker_html.page(columns, clauses, notes, command)
    values.page.write_text(broker_markdown.page(columns, clauses, notes, command, html.name), "utf-8")
    html.write_text(html_text, "utf-8")
    print(f"Written: {values.page}\nWritten: {html}, {len(html_text.encode('utf-8')) // 1000} kB")
    return Exit.CONFORMING
