"""Coverage of the models, on the terminal and in the JSON report."""

import dataclasses
import io

from conformance.models.rule_coverage import RuleCoverage
from conformance.reporting import json_report
from conformance.reporting.terminal import Presenter
from conformance.specification import schemas
from tests.reporting import samples

REACH = RuleCoverage(
    "Machine over queue-http",
    rules={"poll", "publish"},
    states=("empty", "full"),
    impossible=frozenset({("publish", "full")}),
)
REACH.record("publish", "empty")
REACH.record("poll", "full")
REACH.record("poll", "full")


def test_a_person_sees_the_share_and_what_was_missed():
    stream = io.StringIO()
    Presenter(stream, width=80).show_reach([REACH])
    shown = " ".join(stream.getvalue().split())
    assert "Machine over queue-http 67% of 3 pairs, 3 steps" in shown
    assert "not: poll (empty)" in shown


def test_nothing_is_shown_where_no_model_ran():
    stream = io.StringIO()
    Presenter(stream, width=80).show_reach([])
    assert not stream.getvalue()


def test_a_program_reads_the_same():
    meta = dataclasses.replace(samples.META, reach=(REACH,))
    document = json_report.build(samples.result(), samples.BOOK, samples.TARGET, meta)
    assert not schemas.problems("report", document)
    assert document["reach"] == [
        {
            "model": "Machine over queue-http",
            "steps": 3,
            "pairs": 3,
            "share": 0.6667,
            "missed": [{"rule": "poll", "state": "empty"}],
        }
    ]
