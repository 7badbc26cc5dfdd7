"""Report of a run as JUnit XML, for CI servers: a suite per chapter, a case per clause and binding.

A case fails if its verdict makes the server non-conforming, and has an error if the suite failed. A clause that was not
judged, and a known deviation, is skipped; a deviation from a SHOULD passes with a note. A run that says nothing about
the server has one more case with an error, so that a CI server doesn't show it as passed. The time of a case is that of
its tests; a test of several clauses adds an equal share of its time to each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from conformance.reporting.durations import times_of_clauses
from conformance.reporting.folding import around, shown
from conformance.reporting.octets import one_line, printable, wire_lines
from conformance.reporting.summary import (
    EXIT_NAMES,
    by_chapter,
    closing_sentence,
    plain_command,
    without_secrets,
)
from conformance.verdicts.verdicts import Exit, Kind

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from conformance.reporting.plan import Meta
    from conformance.reporting.summary import ReplayCommand
    from conformance.specification.clauses import Book, Clause
    from conformance.targets.target import Target
    from conformance.verdicts.verdicts import Failure, Result, Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_JUDGED = (Kind.BLOCKED, Kind.INCONCLUSIVE, Kind.SKIPPED)
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def build(
    result: Result, book: Book, target: Target, meta: Meta, *, replay_command: ReplayCommand | None = None
) -> Element:
    """The report as an element `testsuites`. It holds no passcode of the target."""
    result = without_secrets(result, target.passcode)
    replay_command = replay_command or plain_command(target.url)
    root = ET.Element("testsuites", name=f"stompliance {meta.suite_version}")
    stamp = meta.started.replace(tzinfo=None).isoformat(timespec="seconds")
    times = times_of_clauses(meta)
    for chapter, rows in by_chapter(result, book).items():
        suite = _child(root, "testsuite", name=chapter, timestamp=stamp, time="0")
        _properties(
            suite, {"target": target.title or target.name, "url": target.url, "effort": meta.plan.effort}
        )
        for clause, verdicts in rows:
            for verdict in verdicts.values():
                _add_case(suite, verdict, clause, replay_command, times.get(verdict.key, 0.0))
        _count(suite)
        _add_up_times(suite)
    if result.exit in (Exit.SUITE_FAILED, Exit.INCONCLUSIVE, Exit.USAGE) or result.ended_early:
        suite = _child(root, "testsuite", name="The run", timestamp=stamp, time="0")
        case = _child(suite, "testcase", classname="run", name="comes to a verdict", time="0")
        error = _child(case, "error", type=EXIT_NAMES[result.exit], message=closing_sentence(result))
        error.text = _legal("\n".join(meta.suite_failures) or result.ended_early)
        _count(suite)
    if result.stale_counts and result.stale:
        suite = _child(root, "testsuite", name="Known deviations", timestamp=stamp, time="0")
        for waiver in result.stale:
            case = _child(suite, "testcase", classname="known deviation", name=waiver.clause, time="0")
            _child(case, "failure", type="stale", message=f"deviates no more: {one_line(waiver.reason)}")
        _count(suite)
    _count(root)
    root.set("time", f"{meta.duration:.3f}")
    return root


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
    tree = ET.ElementTree(build(result, book, target, meta, replay_command=replay_command))
    ET.indent(tree)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _add_up_times(suite: Element) -> None:
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in suite.iter('testcase')):.3f}")


def _add_case(
    suite: Element, verdict: Verdict, clause: Clause, replay_command: ReplayCommand, seconds: float
) -> None:
    case = _child(suite, "testcase", classname=verdict.key.binding, name=clause.id, time=f"{seconds:.3f}")
    _properties(
        case,
        {"level": clause.key_word, "verdict": verdict.kind.value, "asserted": str(verdict.asserted)}
        | ({"known": verdict.waiver} if verdict.waiver is not None else {}),
    )
    evidence = "\n\n".join(_evidence(failure, clause, replay_command) for failure in verdict.failures)
    if verdict.counts:
        _child(
            case, "failure", type=clause.key_word, message=one_line(verdict.reason)
        ).text = f"\n{evidence}\n"
    elif verdict.kind is Kind.ERROR:
        _child(case, "error", type="suite", message=one_line(verdict.reason)).text = _legal(verdict.reason)
    elif verdict.kind is Kind.FAIL:
        _child(case, "skipped", message=f"known deviation: {one_line(verdict.waiver or '')}")
    elif verdict.kind in _NOT_JUDGED:
        _child(case, "skipped", message=f"{verdict.kind.value}: {one_line(verdict.reason)}")
    elif verdict.kind in (Kind.DEVIATION, Kind.OBSERVED) and (evidence or verdict.reason):
        _child(case, "system-out").text = _legal(
            f"\n{verdict.kind.value}: {printable(verdict.reason)}\n\n{evidence}\n"
        )


def _evidence(failure: Failure, clause: Clause, replay_command: ReplayCommand) -> str:
    lines = [
        f"{clause.id}: {clause.text}",
        f"spec/{clause.source}:{clause.line}",
        f"expected: {printable(failure.expected)}",
        f"observed: {printable(failure.observed)}",
        f"test:     {printable(failure.test)} ({failure.binding})",
        f"again:    {replay_command(failure)}",
    ]
    if failure.steps:
        lines += [
            "steps:",
            *(
                f"  {fold.first}. {printable(fold.text)}"
                for fold in shown(failure.steps, f"{failure.expected} {failure.observed}")
            ),
        ]
    if failure.frames:
        first, end = around(failure.frames, failure.observed)
        lines += ["on the wire:", *wire_lines(failure.frames[first:end])]
    return _legal("\n".join(lines))


def _properties(parent: Element, values: dict[str, str]) -> None:
    properties = _child(parent, "properties")
    for name, value in values.items():
        _child(properties, "property", name=name, value=one_line(value))


def _child(parent: Element, tag: str, **attributes: str) -> Element:
    return ET.SubElement(parent, tag, {name: _legal(value) for name, value in attributes.items()})


def _count(element: Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for attribute, tag in _COUNTS.items():
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def _legal(text: str) -> str:
    """Text with U+FFFD in place of each character that XML can't hold."""
    return _NOT_XML.sub("\ufffd", text)
