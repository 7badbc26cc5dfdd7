"""Badge of a run, in the form of an endpoint of shields.io: https://shields.io/badges/endpoint-badge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.reporting.summary import EXIT_NAMES, broken, counted
from conformance.specification.clauses import Level
from conformance.verdicts.verdicts import Exit, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.reporting.plan import Meta
    from conformance.reporting.summary import ReplayCommand
    from conformance.specification.clauses import Book
    from conformance.targets.target import Target
    from conformance.verdicts.verdicts import Result

LABEL = "STOMP conformance"
_COLOURS = {Exit.CONFORMING: "brightgreen", Exit.NOT_CONFORMING: "red"}


def build(result: Result) -> dict[str, Any]:
    """The badge as a JSON object."""
    return {
        "schemaVersion": 1,
        "label": LABEL,
        "message": _message(result),
        "color": _COLOURS.get(result.exit, "lightgrey"),
        "isError": result.exit not in _COLOURS,
    }


def write(
    path: Path,
    result: Result,
    book: Book,
    target: Target,
    meta: Meta,
    *,
    replay_command: ReplayCommand | None = None,
) -> None:
    """Write the badge. Raises OSError."""
    path.write_text(json.dumps(build(result), indent=1) + "\n", "utf-8")


def _message(result: Result) -> str:
    name = EXIT_NAMES[result.exit]
    if failed := {verdict.key.clause for verdict in broken(result)}:
        return f"{name}, {counted(len(failed), 'requirement')} broken"
    known = {verdict.key.clause for verdict in result.of(Kind.FAIL)}
    holding = {
        verdict.key.clause
        for verdict in result.of(Kind.PASS)
        if verdict.level is Level.MUST and verdict.key.clause not in known
    }
    if result.exit is Exit.CONFORMING:
        but = f", {len(known)} known deviations" if known else ""
        return f"{name}, {counted(len(holding), 'requirement')}{but}"
    return name
