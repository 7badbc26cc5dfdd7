"""Changes between two runs: what broke, what was mended, what is not judged any more.

A verdict of the new report is compared with that on the same clause and binding in the old one. A requirement that is a
known deviation of the new target file is listed and does not count as broken.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.specification import schemas
from conformance.verdicts.verdicts import BROKEN, JUDGED, Exit, Kind

if TYPE_CHECKING:
    from pathlib import Path

#: Version of the format of the reports that can be read.
FORMAT = 1
#: Members that reports of older versions lack.
_ADDED: dict[str, list[Any]] = {"hardly_judged": [], "tests": []}
_BROKEN = {kind.value for kind in BROKEN}
_JUDGED = {kind.value for kind in JUDGED}


class BadReport(Exception):
    """A file that is no report of a run; the message names it and says what was expected."""


class Change(enum.Enum):
    """Kinds of change, the worst first; the value is the title of a list."""

    BROKE = "Broke"
    FOUND_BROKEN = "Broken, and not judged before"
    KNOWN = "Broke as the new run's target file declares"
    UNJUDGED = "Held, and is not judged any more"
    DEVIATES = "Recommendations that are not followed any more"
    MENDED = "Mended"
    FOLLOWED = "Recommendations that are followed now"


#: Changes that make the comparison fail.
FAILING = frozenset({Change.BROKE, Change.FOUND_BROKEN})


@dataclass(frozen=True)
class ChangedVerdict:
    """A verdict that changed: `old` and `new` are kinds of verdict, "" for none."""

    change: Change
    clause: str
    binding: str
    level: str
    text: str
    old: str
    new: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Changes from one report to another, in the order of `Change` and then of the text."""

    old: str
    new: str
    changes: tuple[ChangedVerdict, ...]

    @property
    def exit(self) -> Exit:
        """Status 1 if something broke, 4 if a requirement that held is not judged any more, else 0."""
        kinds = {changed.change for changed in self.changes}
        if kinds & FAILING:
            return Exit.NOT_CONFORMING
        return Exit.INCONCLUSIVE if Change.UNJUDGED in kinds else Exit.CONFORMING

    def of(self, change: Change) -> list[ChangedVerdict]:
        """Verdicts that changed in this way."""
        return [changed for changed in self.changes if changed.change is change]


def read_report(path: Path) -> dict[str, Any]:
    """Report at `path`, which may also be the folder that holds it as `report.json`. Raises BadReport."""
    file = path / "report.json" if path.is_dir() else path
    document: Any
    try:
        document = json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise BadReport(f"{file}: {error.strerror}; expected the report.json of `--report`") from error
    except (ValueError, RecursionError) as error:
        raise BadReport(f"{file}: no JSON ({error}); expected the report.json of `--report`") from error
    if isinstance(document, dict) and document.get("format", FORMAT) != FORMAT:
        raise BadReport(f"{file}: format {document['format']!r}; this version of the suite reads {FORMAT}")
    if isinstance(document, dict):
        document = {**_ADDED, **document}
    if problems := schemas.problems("report", document):
        raise BadReport(f"{file}: no report of a run ({problems[0]}); expected the report.json of `--report`")
    assert isinstance(document, dict)
    return document


def compare(old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """Changes between two reports that `read_report` has read."""
    before, after = _verdicts(old), _verdicts(new)
    found = []
    for key in dict.fromkeys([*after, *before]):
        was, now = before.get(key), after.get(key)
        if (change := _change(was, now)) is not None:
            shown = now or was
            assert shown is not None
            found.append(
                ChangedVerdict(
                    change,
                    *key,
                    level=shown["level"],
                    text=shown["text"],
                    old=was["kind"] if was else "",
                    new=now["kind"] if now else "",
                    reason=shown["waiver"] or shown["reason"] if now else "the new run did not select it",
                )
            )
    order = list(Change)
    return Comparison(
        _name(old), _name(new), tuple(sorted(found, key=lambda changed: order.index(changed.change)))
    )


def _verdicts(report: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(verdict["clause"], verdict["binding"]): verdict for verdict in report["verdicts"]}


def _change(was: dict[str, Any] | None, now: dict[str, Any] | None) -> Change | None:
    old = was["kind"] if was else ""
    new = now["kind"] if now else ""
    level = (now or was or {})["level"]
    if new in _BROKEN and old not in _BROKEN:
        return _newly_broken(now or {}, new, old)
    if old in _BROKEN and new in _JUDGED and new not in _BROKEN:
        return Change.MENDED if old == Kind.FAIL.value else Change.FOLLOWED
    if old == Kind.PASS.value and new not in _JUDGED and level.startswith("MUST"):
        return None if now and now.get("excluded") else Change.UNJUDGED
    return None


def _newly_broken(now: dict[str, Any], new: str, old: str) -> Change:
    if now["waiver"] is not None:
        return Change.KNOWN
    if new != Kind.FAIL.value:
        return Change.DEVIATES
    return Change.BROKE if old in _JUDGED else Change.FOUND_BROKEN


def _name(report: dict[str, Any]) -> str:
    target, run = report["target"], report["run"]
    return f"{target['title'] or target['name']} ({run['started']})"
