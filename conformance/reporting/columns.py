"""Columns of a comparison of brokers: all reports of one broker, in one version, over one transport.

A clause that any of the reports found broken counts as broken; if another one found it kept, the mark is unstable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.reporting.changes import read_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

#: File beside a report with what the report can't know: name, title, version, transport, source, license, command.
ABOUT = "broker.json"
#: Verdicts by the state of a clause that they stand for, the worst first.
_STATES = {"fail": "broken", "deviation": "deviating", "pass": "kept", "observed": "kept"}
STATES = ("broken", "deviating", "kept", "unjudged")
SIGNS = {"broken": "✗", "deviating": "≈", "kept": "✓", "unjudged": "·"}
LEVELS = ("MUST", "SHOULD", "MAY")


@dataclass(frozen=True)
class Clause:
    """A clause as reports have it; `level` is MUST, SHOULD or MAY, of which `word` is the form in the text."""

    id: str
    word: str
    text: str
    chapter: str

    @property
    def level(self) -> str:
        """Level of the clause's key word."""
        return self.word.removesuffix(" NOT").replace("SHALL", "MUST").replace("RECOMMENDED", "SHOULD")


@dataclass(frozen=True)
class Mark:
    """State of a clause in some bindings of a column, with the report's first failure, None if there is none."""

    state: str
    bindings: tuple[str, ...]
    is_unstable: bool = False
    failure: Mapping[str, Any] | None = None
    waiver: str = ""

    @property
    def versions(self) -> tuple[str, ...]:
        """Versions of STOMP among the bindings; none for those of a transport."""
        return tuple(name.removeprefix("stomp-") for name in self.bindings if name.startswith("stomp-1"))


@dataclass
class Column:
    """Reports of one broker over one transport."""

    name: str
    title: str
    version: str
    transport: str
    about: Mapping[str, str] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    #: Marks by clause.
    marks: dict[str, list[Mark]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Name of the column in tables."""
        return f"{self.name} {'ws' if self.transport == 'websocket' else self.transport}"

    def state(self, clause: str) -> str:
        """Worst state of a clause in any binding, "" if its class isn't claimed."""
        states = {mark.state for mark in self.marks.get(clause, [])}
        return next((state for state in STATES if state in states), "")

    def count(self, state: str, clauses: Iterable[Clause]) -> int:
        """Number of the clauses whose state is this one."""
        return sum(self.state(clause.id) == state for clause in clauses)

    def unstable(self) -> list[str]:
        """Clauses whose verdicts differ between the reports."""
        return [clause for clause, marks in self.marks.items() if any(mark.is_unstable for mark in marks)]


def read_columns(paths: Sequence[Path]) -> tuple[list[Column], list[Clause]]:
    """Columns in the order of the paths, and the clauses in that of the text. Raises BadReport."""
    columns: dict[str, Column] = {}
    clauses: dict[str, Clause] = {}
    for path in paths:
        report = read_report(path)
        found = _column(report, _about(path))
        column = columns.setdefault(f"{found.id} {found.version}", found)
        column.reports.append(report)
        for verdict in report["verdicts"]:
            clause = Clause(verdict["clause"], verdict["level"], verdict["text"], verdict["chapter"])
            clauses.setdefault(clause.id, clause)
    for column in columns.values():
        column.marks = _marks(column.reports)
    return list(columns.values()), _in_order(list(clauses.values()))


def _in_order(clauses: list[Clause]) -> list[Clause]:
    """Clauses with those of a chapter side by side: reports of other classes may bring later ones."""
    chapters = list(dict.fromkeys(clause.chapter for clause in clauses))
    return sorted(clauses, key=lambda clause: chapters.index(clause.chapter))


def _about(path: Path) -> dict[str, str]:
    folder = path if path.is_dir() else path.parent
    try:
        document = json.loads((folder / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: value for name, value in document.items() if isinstance(value, str)}


def _column(report: dict[str, Any], about: dict[str, str]) -> Column:
    target = report["target"]
    scheme = target["url"].split(":", 1)[0]
    return Column(
        name=about.get("name") or target["name"],
        title=about.get("title") or target["title"] or target["name"],
        version=about.get("version", ""),
        transport=about.get("transport")
        or ("websocket" if scheme in ("ws", "wss", "http", "https") else "tcp"),
        about=about,
    )


def _marks(reports: list[dict[str, Any]]) -> dict[str, list[Mark]]:
    verdicts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for report in reports:
        for verdict in report["verdicts"]:
            verdicts.setdefault((verdict["clause"], verdict["binding"]), []).append(verdict)
    groups: dict[tuple[str, str, bool], list[tuple[str, list[dict[str, Any]]]]] = {}
    for (clause, binding), found in verdicts.items():
        judged = {_STATES[verdict["kind"]] for verdict in found if verdict["kind"] in _STATES}
        state = next((state for state in STATES if state in judged), "unjudged")
        groups.setdefault((clause, state, len(judged) > 1), []).append((binding, found))
    marks: dict[str, list[Mark]] = {}
    for (clause, state, is_unstable), members in groups.items():
        every = [
            verdict for _, found in members for verdict in found if _STATES.get(verdict["kind"]) == state
        ]
        failures = [failure for verdict in every for failure in verdict["failures"]]
        waivers = [verdict["waiver"] for verdict in every if verdict["waiver"]]
        marks.setdefault(clause, []).append(
            Mark(
                state,
                tuple(binding for binding, _ in members),
                is_unstable,
                failures[0] if failures else None,
                waivers[0] if waivers else "",
            )
        )
    return {
        clause: sorted(found, key=lambda mark: STATES.index(mark.state)) for clause, found in marks.items()
    }
