"""Changes between two reports."""

import pytest

from conformance.reporting import json_report
from conformance.reporting.changes import Change, compare
from conformance.reporting.changes_text import FORMATS
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Exit, Key, Stop, Tally, Waiver
from tests.reporting import samples
from tests.reporting.samples import BOOK, META, TARGET

MUST, SHOULD, MAY = "ACCOUNT-OPEN-1", "ACCOUNT-PAY-2", "ACCOUNT-PAY-3"
HELD = Tally(held=1)
UNJUDGED = Tally(stops=[Stop("t", None)])


def broken(clause: str) -> Tally:
    return Tally(broken=1, failures=[samples.failure(Key(clause, "queue-http"))])


def report(clause: str, tally: Tally | None, waived: bool = False, excluded: bool = False):
    """Report of a run that judged one clause; without a tally it did not select the clause."""
    key = Key(clause, "queue-http")
    waivers = (Waiver(clause, "It is known."),) if waived else ()
    result = decide(
        BOOK,
        [key] if tally else [],
        {key: tally} if tally else {},
        waivers,
        excluded={clause} if excluded else (),
    )
    return json_report.build(result, BOOK, TARGET, META)


CHANGES = [
    ("it broke", report(MUST, HELD), report(MUST, broken(MUST)), Change.BROKE, 1),
    ("it broke, and is new", report(MUST, None), report(MUST, broken(MUST)), Change.FOUND_BROKEN, 1),
    ("it was blocked", report(MUST, UNJUDGED), report(MUST, broken(MUST)), Change.FOUND_BROKEN, 1),
    ("it broke, and is known", report(MUST, HELD), report(MUST, broken(MUST), waived=True), Change.KNOWN, 0),
    ("it was broken", report(MUST, broken(MUST)), report(MUST, broken(MUST)), None, 0),
    ("it was known", report(MUST, broken(MUST), waived=True), report(MUST, broken(MUST)), None, 0),
    ("it was mended", report(MUST, broken(MUST)), report(MUST, HELD), Change.MENDED, 0),
    ("it held", report(MUST, HELD), report(MUST, HELD), None, 0),
    ("it is not judged any more", report(MUST, HELD), report(MUST, UNJUDGED), Change.UNJUDGED, 4),
    ("it is not selected any more", report(MUST, HELD), report(MUST, None), Change.UNJUDGED, 4),
    ("it is excluded now", report(MUST, HELD), report(MUST, HELD, excluded=True), None, 0),
    ("it was broken, and is not judged", report(MUST, broken(MUST)), report(MUST, UNJUDGED), None, 0),
    ("a recommendation", report(SHOULD, HELD), report(SHOULD, broken(SHOULD)), Change.DEVIATES, 0),
    ("a recommendation, back", report(SHOULD, broken(SHOULD)), report(SHOULD, HELD), Change.FOLLOWED, 0),
    ("what is free", report(MAY, HELD), report(MAY, broken(MAY)), None, 0),
]


@pytest.mark.parametrize(
    ("story", "old", "new", "change", "status"), CHANGES, ids=[row[0] for row in CHANGES]
)
def test_a_change_has_its_kind_and_status(story, old, new, change, status):
    comparison = compare(old, new)
    assert [changed.change for changed in comparison.changes] == ([change] if change else [])
    assert comparison.exit is Exit(status)


def test_every_kind_of_change_is_reached():
    assert {row[3] for row in CHANGES} - {None} == set(Change)


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_server_said_is_shown_without_meaning(form):
    """Text of a server is no markup, and moves no cursor."""
    new = report(MUST, broken(MUST))
    new["verdicts"][0]["reason"] = samples.NASTY + "| [link](x) `code`\nline"
    text = FORMATS[form](compare(report(MUST, HELD), new))
    assert "\x1b" not in text
    assert "\x00" not in text
    if form == "html":
        assert "<b>&amp;</b>" not in text
    if form == "markdown":
        [row] = [line for line in text.splitlines() if MUST in line]
        assert row.count("|") == 7
        assert "<b>" not in row
        assert "`code`" not in row
