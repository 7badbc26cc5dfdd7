"""Report of judged histories: `judgement.json` for programs, `judgement.html` for people, and pictures of anomalies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.history.file_encoding import event_object
from conformance.reporting.anomaly_svg import anomaly_svg
from conformance.reporting.judgement_html import page
from conformance.reporting.plan import suite_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from conformance.history.events import Event
    from conformance.history.judgement import CheckerResult, Judgement
    from conformance.verdicts.verdicts import Exit

FORMAT = 1
#: Records of one poll in the report; the history has all of them.
MOST_RECORDS = 50


def write(folder: Path, judgements: Sequence[Judgement], sentence: str, status: Exit) -> list[Path]:
    """Write the report to a folder, which is created if missing; returns the paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "judgement.json"
    path.write_text(json.dumps(document(judgements, sentence, status), indent=1) + "\n", "utf-8")
    html = folder / "judgement.html"
    html.write_text(page(judgements, sentence, int(status)), "utf-8", "backslashreplace")
    return [path, html, *_pictures(folder / "anomalies", judgements)]


def _pictures(folder: Path, judgements: Sequence[Judgement]) -> Iterator[Path]:
    """Write a picture of the first anomaly of each kind, and yield the paths; several histories are numbered."""
    for number, judgement in enumerate(judgements, 1):
        prefix = f"{number}-" if len(judgements) > 1 else ""
        for result in judgement.promises:
            for one in result.results:
                if one.found:
                    folder.mkdir(parents=True, exist_ok=True)
                    path = folder / f"{prefix}{'-'.join(one.name.split())}.svg"
                    text = anomaly_svg(judgement.file.events, one.found[0].anomaly)
                    path.write_text(text, "utf-8", "backslashreplace")
                    yield path


def document(judgements: Sequence[Judgement], sentence: str, status: Exit) -> dict[str, Any]:
    """The report as a JSON document."""
    return {
        "format": FORMAT,
        "suite": {"name": "stompliance", "version": suite_version()},
        "exit": {"status": int(status), "sentence": sentence},
        "histories": [_history(judgement) for judgement in judgements],
    }


def _history(judgement: Judgement) -> dict[str, Any]:
    facts = judgement.file.facts
    return {
        "file": judgement.file.name,
        "title": facts.title,
        "system": {"name": facts.name, "version": facts.version},
        "events": judgement.file.length,
        "promises": [
            {
                "name": result.promise.name,
                "promised": result.promised,
                "verdict": result.verdict.value,
                "missing": list(result.missing),
                "checkers": [_checker(one) for one in result.results],
            }
            for result in judgement.promises
        ],
    }


def _checker(result: CheckerResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "verdict": result.verdict.value,
        "missing": list(result.missing),
        "count": result.count,
        "anomalies": [
            {
                "clause": found.anomaly.clause,
                "message": found.anomaly.message,
                "events": _objects(found.anomaly.events),
                "smallest": _objects(found.history),
            }
            for found in result.found
        ],
    }


def _objects(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [_bounded(event_object(event)) for event in events]


def _bounded(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its first records, and the number of the others."""
    records = event.get("records", ())
    if len(records) <= MOST_RECORDS:
        return event
    return {**event, "records": records[:MOST_RECORDS], "left_out": len(records) - MOST_RECORDS}
