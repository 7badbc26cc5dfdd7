"""Report of a run as JSON, by the schema `spec/schemas/report.json`."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from conformance.reporting.durations import slowest
from conformance.reporting.failure_files import file_name
from conformance.reporting.folding import around, shown
from conformance.reporting.octets import printable, readable
from conformance.reporting.summary import EXIT_NAMES, closing_sentence, plain_command, without_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.models.rule_coverage import RuleCoverage
    from conformance.reporting.plan import Meta
    from conformance.reporting.summary import ReplayCommand
    from conformance.run.faults import FaultRecord
    from conformance.specification.clauses import Book, Clause
    from conformance.targets.target import Target
    from conformance.verdicts.verdicts import Failure, Result, Verdict, Waiver
    from conformance.wire.trace import TraceEntry

#: Version of the format: raised when a member changes its meaning or is removed, not when one is added.
FORMAT = 1
#: Octets written of one frame.
FRAME_OCTETS = 16 << 10
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def build(
    result: Result, book: Book, target: Target, meta: Meta, *, replay_command: ReplayCommand | None = None
) -> dict[str, Any]:
    """The report as a JSON object. It holds no passcode of the target."""
    result = without_secrets(result, target.passcode)
    replay_command = replay_command or plain_command(target.url)
    return {
        "format": FORMAT,
        "suite": {"name": "stompliance", "version": meta.suite_version},
        "target": _target(target),
        "run": _run(result, meta),
        "exit": {
            "status": int(result.exit),
            "name": EXIT_NAMES[result.exit],
            "sentence": _text(closing_sentence(result)),
        },
        "counts": dict(sorted(Counter(verdict.kind.value for verdict in result.verdicts).items())),
        "verdicts": [
            _verdict(verdict, book[verdict.key.clause], replay_command) for verdict in result.verdicts
        ],
        "hardly_judged": [
            {"class": share.name, "unjudged": share.unjudged, "claimed": share.claimed}
            for share in result.hardly_judged
        ],
        "stale_waivers": [_waiver(waiver) for waiver in result.stale],
        "reach": [_reach(reach) for reach in meta.reach],
        "tests": [
            {"test": _text(test), "binding": binding, "seconds": round(seconds, 3)}
            for seconds, test, binding in slowest(meta.durations, 0)
        ],
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
    """Write the report. Raises OSError."""
    document = build(result, book, target, meta, replay_command=replay_command)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n", "utf-8")


def _target(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "title": _text(target.title),
        "url": target.url,
        "nodes": [each.url for each in target.nodes],
        "classes": sorted(target.classes),
        "extensions": sorted(target.extensions),
        "stomp_versions": list(target.stomp_versions),
        "timings": {name: value for name, value in vars(target.timings).items() if value is not None},
        "limits": {_text(name): value for name, value in target.limits.items()},
        "partitions": target.partitions,
        "brokers": target.brokers,
        "round_trip": round(target.round_trip, 6),
        "waivers": [_waiver(waiver) for waiver in target.waivers],
        "capabilities": _json(target.capabilities),
    }


def _run(result: Result, meta: Meta) -> dict[str, Any]:
    plan = meta.plan
    return {
        "effort": plan.effort,
        "seed": plan.seed,
        "started": meta.started.isoformat(timespec="milliseconds"),
        "duration": round(meta.duration, 3),
        "tests": plan.tests,
        "clauses": plan.clauses,
        "bindings": list(plan.bindings),
        "ended_early": _text(result.ended_early) or None,
        "suite_failures": [_text(failure) for failure in meta.suite_failures],
        "faults": [_fault_record(record) for record in meta.faults],
    }


def _fault_record(record: FaultRecord) -> dict[str, Any]:
    return {
        "test": record.test,
        "binding": record.binding,
        "operations": record.operations,
        "unknown": record.unknown,
        "injected": [
            {
                "name": _text(fault.name),
                "began": round(fault.began, 3),
                "back": round(fault.back, 3),
                "in_flight": fault.in_flight,
            }
            for fault in record.faults
        ],
    }


def _reach(reach: RuleCoverage) -> dict[str, Any]:
    return {
        "model": reach.machine,
        "steps": reach.steps(),
        "pairs": len(reach.possible()),
        "share": round(reach.share(), 4),
        "missed": [{"rule": rule, "state": state} for rule, state in reach.missed()],
    }


def _verdict(verdict: Verdict, clause: Clause, replay_command: ReplayCommand) -> dict[str, Any]:
    return {
        "clause": clause.id,
        "binding": verdict.key.binding,
        "level": clause.key_word,
        "kind": verdict.kind.value,
        "counts": verdict.counts,
        "chapter": clause.chapter,
        "text": clause.text,
        "source": f"{clause.source}:{clause.line}",
        "classes": list(clause.classes),
        "depends_on": list(clause.depends_on),
        "reason": _text(verdict.reason),
        "roots": list(verdict.roots),
        "waiver": verdict.waiver,
        "excluded": verdict.is_excluded,
        "asserted": verdict.asserted,
        "failures": [_failure(failure, replay_command) for failure in verdict.failures],
    }


def _failure(failure: Failure, replay_command: ReplayCommand) -> dict[str, Any]:
    first, end = around(failure.frames, failure.observed)
    return {
        "test": _text(failure.test),
        "at": round(failure.at, 3),
        "expected": _text(failure.expected),
        "observed": _text(failure.observed),
        "steps": [
            _text(fold.text) for fold in shown(failure.steps, f"{failure.expected} {failure.observed}")
        ],
        "frames": [_frame(entry) for entry in failure.frames[first:end]],
        "replay": _text(replay_command(failure)),
        "recording": file_name(failure) if failure.recording is not None else None,
    }


def _frame(entry: TraceEntry) -> dict[str, Any]:
    """Frame as text if its octets are UTF-8, otherwise as readable text and base64."""
    octets = entry.octets[:FRAME_OCTETS]
    frame: dict[str, Any] = {
        "at": round(entry.at, 6),
        "connection": entry.connection,
        "direction": entry.direction,
        "kind": entry.kind,
        "size": entry.size,
    }
    try:
        frame["text"] = octets.decode("utf-8")
    except UnicodeDecodeError:
        frame["text"] = readable(octets)
        frame["base64"] = base64.b64encode(octets).decode("ascii")
    return frame


def _waiver(waiver: Waiver) -> dict[str, Any]:
    return {"clause": waiver.clause, "reason": waiver.reason, "bindings": list(waiver.bindings)}


def _text(text: str) -> str:
    """Text without lone surrogates, which UTF-8 can't encode."""
    return printable(text) if _LONE_SURROGATE.search(text) else text


def _json(value: Any) -> Any:
    """Declared value without NaN, infinities and lone surrogates, which Python's JSON parser accepts."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_text(str(name)): _json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_json(member) for member in value]
    return value
