"""`python -m tests.figures`: writes the sections of the README and of docs/on-kafka.md that hold figures.

    python -m tests.figures             write them, from docs/figures.json and from counts
    python -m tests.figures --check     show how the README differs from that, and write nothing

Exit status: 0 when both are up to date, 1 when --check finds a difference.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from typing import TYPE_CHECKING

from tests.figures import on_kafka
from tests.figures.counts import counted
from tests.figures.rendering import rendered
from tests.figures.store import ROOT, measured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

README = ROOT / "README.md"


def main(arguments: Sequence[str] | None = None, readme: Path = README) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="show the difference, and write nothing")
    values = parser.parse_args(arguments)
    figures = measured()
    pages = {readme: lambda text: rendered(text, figures, counted())}
    if readme == README:
        pages[on_kafka.PAGE] = lambda text: on_kafka.rendered(text, figures)
    status = 0
    for page, render in pages.items():
        present = page.read_text("utf-8")
        expected = render(present)
        if not values.check:
            page.write_text(expected, "utf-8")
        elif present != expected:
            _show(page.name, present, expected)
            status = 1
    return status


def _show(name: str, present: str, expected: str) -> None:
    lines = difflib.unified_diff(
        present.splitlines(keepends=True),
        expected.splitlines(keepends=True),
        name,
        "written by python -m tests.figures",
    )
    sys.stdout.writelines(lines)


if __name__ == "__main__":
    sys.exit(main())
