"""Judged histories as one self-contained HTML page: promises, anomalies with their proof, and pictures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from conformance.history.judgement import Verdict
from conformance.reporting.history_picture import SCRIPT, STYLE, picture
from conformance.reporting.judgement_text import event_line, missing_lines, note_of, shortened, word_of
from conformance.reporting.octets import one_line
from conformance.reporting.page_style import STYLE as PAGE_STYLE
from conformance.reporting.summary import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.history.judgement import FoundAnomaly, Judgement, PromiseResult

_CLASSES = {Verdict.KEPT: "holds", Verdict.BROKEN: "broken", Verdict.NOT_JUDGED: "deviation"}


def page(judgements: Sequence[Judgement], sentence: str, status: int) -> str:
    """The page."""
    closing = {0: "good", 1: "bad"}.get(status, "unclear")
    sections = "\n".join(_section(judgement) for judgement in judgements)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Judged histories</title>\n<style>\n{PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>Judged histories</h1>\n<p class="closing {closing}">{escape(one_line(sentence))}</p>\n'
        f"{sections}\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(judgement: Judgement) -> str:
    file = judgement.file
    anomalies = [
        found.anomaly for promise in judgement.promises for one in promise.results for found in one.found
    ]
    rows = "".join(
        f'<tr><td><span class="sign {_CLASSES[result.verdict]}">{word_of(result)}</span></td>'
        f"<td>{escape(result.promise.name)}</td><td>{escape(result.promise.sentence)}</td>"
        f"<td>{escape(note_of(result))}</td></tr>"
        for result in judgement.promises
    )
    missing = "".join(f"<li>{escape(line)}</li>" for line in missing_lines(judgement.promises))
    broken = "".join(_broken(result) for result in judgement.promises if result.verdict is Verdict.BROKEN)
    title = "; ".join(filter(None, (file.facts.title, f"{file.facts.name} {file.facts.version}".strip())))
    about = ": ".join(filter(None, (counted(file.length, "event"), one_line(title))))
    return (
        f"<h2>{escape(one_line(file.name))}</h2><p>{escape(about)}</p>"
        f"{picture(file.events, anomalies, 'Partitions in time: choose a mark to read its event.')}"
        f'<div class="wide"><table><tbody>{rows}</tbody></table></div>{broken}'
        f"{f'<details><summary>Not judged</summary><ul>{missing}</ul></details>' if missing else ''}"
    )


def _broken(result: PromiseResult) -> str:
    return "".join(
        f"<details open><summary><b>{escape(one.name)}</b> {counted(one.count, 'time')} "
        f'<span class="where">{escape(result.promise.name)}</span></summary>'
        + "".join(_anomaly(found) for found in one.found)
        + "</details>"
        for one in result.results
        if one.found
    )


def _anomaly(found: FoundAnomaly) -> str:
    proof = {id(event) for event in found.anomaly.events}
    lines = "\n".join(
        event if isinstance(event, str) else f"{'>' if id(event) in proof else ' '} {event_line(event)}"
        for event in shortened(found.history or found.anomaly.events)
    )
    return (
        f'<div class="failure"><p>{escape(one_line(found.anomaly.message))} ({escape(found.anomaly.clause)})</p>'
        f"<pre>{escape(lines)}</pre></div>"
    )
