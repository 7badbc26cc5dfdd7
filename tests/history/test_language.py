"""The language of the stories: steps become events, and mistakes are errors."""

import pytest

from conformance.history.events import NEVER, Acknowledge, Heartbeat, Poll, Publish
from tests.history.language import told


def test_a_step_without_a_subject_has_the_one_before() -> None:
    """The subject stays over steps that have none."""
    events = told("ann gets a; wait 3; acks a; bob acks a").history
    assert [event.process for event in events] == ["ann", "ann", "bob"]


def test_each_subject_performs_the_step() -> None:
    """Several subjects act one after another, and a number repeats steps."""
    events = told("2 x (ann bob beat)").history
    assert [(type(event), event.process) for event in events] == [
        (Heartbeat, "ann"),
        (Heartbeat, "bob"),
        (Heartbeat, "ann"),
        (Heartbeat, "bob"),
    ]


def test_records_have_keys_and_positions() -> None:
    """A record is written as text/key@partition.offset; the empty key is a key."""
    events = told("send a/k@0.1 b/ c@1.0 d").history
    assert [(e.text, e.key, e.partition, e.offset) for e in events if isinstance(e, Publish)] == [
        ("a", "k", 0, 1),
        ("b", "", None, None),
        ("c", "key of 1", 1, 0),
        ("d", None, None, None),
    ]


def test_a_question_mark_means_that_no_reply_came() -> None:
    """A status and an interval may follow each other."""
    ack, poll = told("ann acks a -> ? [3-4]; polls -> 404 [5-6]").history
    assert isinstance(ack, Acknowledge)
    assert (ack.status, ack.invoked, ack.completed) == (None, 3.0, NEVER)
    assert isinstance(poll, Poll)
    assert (poll.status, poll.invoked, poll.completed) == (404, 5.0, 6.0)


@pytest.mark.parametrize("text", ["ann dances", "ann gets a@0", "", "send a//b"])
def test_a_breach_of_the_grammar_is_an_error(text: str) -> None:
    """A mistyped step can't become a story with fewer steps."""
    with pytest.raises(ValueError, match=r"no verb|no record"):
        told(text)


def test_an_unknown_option_is_an_error() -> None:
    """Options are those of the verb."""
    with pytest.raises(TypeError):
        told("ann polls key=k")
