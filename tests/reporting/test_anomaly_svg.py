"""The picture of one anomaly: well-formed, small, without scripts, and with its proof marked."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from conformance.history.checkers import judge_history
from conformance.history.events import Poll, PolledRecord, Publish, Register
from conformance.history.server_parameters import Anomaly
from conformance.reporting.anomaly_svg import anomaly_svg
from tests.history.cases import BAD, Case

RED = "#dc2626"


def marked(text: str) -> int:
    """Number of marked boxes of a picture. Raises ParseError."""
    return sum(element.get("stroke") == RED for element in ET.fromstring(text).iter())


@pytest.mark.parametrize("case", BAD, ids=str)
def test_the_events_of_the_proof_are_marked(case: Case) -> None:
    """Each anomaly has a picture with all events that prove it, whatever their kind."""
    story = case.tell()
    found = next(one for one in judge_history(story.history, story.parameters) if one.name == case.anomaly)
    text = anomaly_svg(story.history, found)
    assert marked(text) == len(set(found.events))
    assert "<script" not in text
    assert len(text) < 60_000


def test_a_long_history_and_hostile_names_make_a_small_picture() -> None:
    """Texts are escaped and cut, further events counted; nothing is drawn outside."""
    name = "<b>&\x1b\n" * 50
    joined = Register(process=name, consumer=name, group=name, invoked=0.0, completed=0.5, status=200)
    record = PolledRecord(message_id=1, topic="t", text=name)
    polls = [
        Poll(process=name, consumer=name, records=(record,), invoked=n, completed=n + 0.5, status=200)
        for n in range(1, 500)
    ]
    sent = Publish(process="p", topic="t", text=name, label=1, invoked=0.1, completed=0.2, status=200)
    anomaly = Anomaly("duplicate", "DELIVER-3", name * 20, (polls[100], polls[400]))
    text = anomaly_svg((joined, sent, *polls), anomaly)
    assert marked(text) == 2
    assert "477 further events" in text
    assert len(text) < 60_000
    assert "\x1b" not in text
    root = ET.fromstring(text)
    boxes = [element for element in root.iter() if element.tag.endswith("rect")]
    assert all(
        float(box.get("y", 0)) + float(box.get("height", 0)) <= float(root.get("height", 0)) for box in boxes
    )


def test_the_same_history_makes_the_same_picture() -> None:
    """Documents can hold pictures under version control."""
    story = BAD[0].tell()
    anomaly = judge_history(story.history, story.parameters)[0]
    assert anomaly_svg(story.history, anomaly) == anomaly_svg(tuple(reversed(story.history)), anomaly)
