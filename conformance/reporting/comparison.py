"""Comparison of several reports, as a Markdown table of clauses and servers.

    python -m conformance.reporting.comparison rabbitmq/report.json activemq/report.json > page.md

The table has a row for each clause that at least one server breaks; a cell names the bindings in which it does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

#: Marks of the kinds of verdict that a cell names.
_WORDS = {"fail": "✗", "deviation": "≈"}
_JUDGED = {"pass", "observed", *_WORDS}


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison of the reports named on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.reporting.comparison", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("reports", nargs="+", type=Path, metavar="report.json", help="reports of `--report`")
    values = parser.parse_args(arguments)
    try:
        reports = [json.loads(path.read_text("utf-8")) for path in values.reports]
    except (OSError, ValueError) as error:
        print(f"a report cannot be read: {error}", file=sys.stderr)
        return 2
    print(table(reports))
    return 0


def table(reports: list[dict[str, Any]]) -> str:
    """Markdown of the summary and the table."""
    names = [report["target"]["name"] for report in reports]
    lines = _row(["", *names]) + _row(["---"] * (len(names) + 1))
    for title, count in (
        ("clauses kept", _kept),
        ("MUST broken", _broken),
        ("SHOULD not followed", _deviating),
    ):
        lines += _row([title, *(str(count(report)) for report in reports)])
    lines += "\n" + _row(["clause", "", *names]) + _row(["---"] * (len(names) + 2))
    for clause, first in _clauses(reports).items():
        cells = [_cell(report, clause) for report in reports]
        if any(mark in cell for cell in cells for mark in _WORDS.values()):
            lines += _row([f"`{clause}` {first['level']}", first["text"], *cells])
    return lines


def _clauses(reports: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Clauses of the reports, in their order, each with its first verdict."""
    found: dict[str, dict[str, Any]] = {}
    for report in reports:
        for verdict in report["verdicts"]:
            found.setdefault(verdict["clause"], verdict)
    return found


def _cell(report: dict[str, Any], clause: str) -> str:
    kinds = {
        v["binding"].removeprefix("stomp-"): v["kind"] for v in report["verdicts"] if v["clause"] == clause
    }
    if not kinds:
        return ""
    parts = []
    for kind, mark in _WORDS.items():
        bindings = [binding for binding, found in kinds.items() if found == kind]
        if bindings:
            parts.append(mark if len(bindings) == len(kinds) else f"{mark} {', '.join(bindings)}")
    if parts:
        return "; ".join(parts)
    return "✓" if set(kinds.values()) & _JUDGED else "·"


def _counted(report: dict[str, Any], *kinds: str) -> int:
    clauses = Counter(verdict["clause"] for verdict in report["verdicts"] if verdict["kind"] in kinds)
    return len(clauses)


def _kept(report: dict[str, Any]) -> int:
    bad = {verdict["clause"] for verdict in report["verdicts"] if verdict["kind"] in _WORDS}
    return len({v["clause"] for v in report["verdicts"] if v["kind"] == "pass"} - bad)


def _broken(report: dict[str, Any]) -> int:
    return _counted(report, "fail")


def _deviating(report: dict[str, Any]) -> int:
    return _counted(report, "deviation")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.exit(main())
