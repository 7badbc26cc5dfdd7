"""Folding of steps and frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.reporting.folding import Fold, around, folded, shown
from conformance.wire.trace import TraceEntry

POLL = "/consumer/poll {'consumer_name': 'consumer-0123abcd-1'} -> 204"
BEAT = "/consumer/heartbeat {'consumer_name': 'consumer-0123abcd-1'} -> 202"


def frame(number: int, direction: str = "<", octets: bytes = b"") -> TraceEntry:
    octets = octets or b"MESSAGE %d" % number
    return TraceEntry(float(number), "ws-1", direction, "stomp", octets, len(octets))  # type: ignore[arg-type]


def test_a_run_of_equal_steps_is_one_line():
    assert folded(["open", *[POLL] * 37]) == [Fold(1, ("open",)), Fold(2, (POLL,), 37)]
    assert folded([POLL] * 37)[0].text == f"{POLL}: 37 times"


def test_a_run_of_equal_groups_is_one_line():
    [fold] = folded([BEAT, POLL] * 37)
    assert fold == Fold(1, (BEAT, POLL), 37)
    assert fold.text == f"{BEAT}, {POLL}: 37 times"


@pytest.mark.parametrize("size", range(2, 7))
def test_groups_of_up_to_six_are_found(size: int):
    group = [f"the step {letter}" for letter in "abcdef"[:size]]
    assert [fold.times for fold in folded(group * 3)] == [3]


def test_a_group_of_seven_is_not_folded():
    assert len(folded([f"the step {letter}" for letter in "abcdefg"] * 3)) == 21


def test_two_equal_steps_stay_two():
    assert len(folded([POLL, POLL])) == 2


def test_steps_that_differ_in_names_and_ids_are_folded_and_it_is_said():
    steps = [f"register consumer-0123abcd-{number} -> 200" for number in range(5)]
    [fold] = folded(steps)
    assert fold.text == f"{steps[0]}: 5 times, with other names and ids"


@pytest.mark.parametrize(
    "steps",
    [
        ["poll -> 204", "poll -> 200", "poll -> 204", "poll -> 409"],
        ["5 s pass", "6 s pass", "7 s pass"],
        ["wait_seconds: 1", "wait_seconds: 2", "wait_seconds: 3"],
    ],
)
def test_numbers_with_a_meaning_are_never_folded_away(steps: list[str]):
    assert [fold.text for fold in folded(steps)] == steps


def test_many_steps_leave_the_first_the_last_and_those_about_the_subject():
    others = [f"publish topic-0123abcd-{number} as {number}" for number in range(100)]
    others[50] = "poll consumer-0123abcd-7 and nothing came"
    lines = shown(others, "not consumer-0123abcd-7 again")
    texts = [fold.text for fold in lines]
    assert texts[:8] == others[:8]
    assert texts[-12:] == others[-12:]
    assert others[50] in texts
    assert sum(fold.length for fold in lines) == len(others)
    assert "… 42 steps about other things" in texts


@given(
    st.lists(st.sampled_from(["a", "b", "c", POLL, BEAT, "name-0123abcd-1", "name-0123abcd-2"]), max_size=80)
)
def test_no_step_is_lost(steps: list[str]):
    for folds in (folded(steps), shown(steps, "")):
        assert sum(fold.length for fold in folds) == len(steps)
        assert [fold.first for fold in folds] == [
            1 + sum(f.length for f in folds[:n]) for n in range(len(folds))
        ]
    for fold in folded(steps):
        if fold.exact:
            assert list(fold.steps) * fold.times == steps[fold.first - 1 :][: fold.length]


def test_ten_frames_up_to_the_end_are_shown():
    frames = [frame(number) for number in range(50)]
    assert around(frames, "silence") == (40, 50)
    assert around(frames[:4], "silence") == (0, 4)
    assert around([], "silence") == (0, 0)


def test_frames_around_the_observed_one_are_shown():
    frames = [frame(number) for number in range(50)]
    first, end = around(frames, "it said MESSAGE 20 there")
    assert end - first == 10
    assert first <= 20 < end


def test_the_body_of_a_reply_is_found():
    frames = [frame(number, ">", b"POST") for number in range(30)]
    frames[12] = frame(12, "<", b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nOops")
    first, end = around(frames, "500 Oops")
    assert first <= 12 < end <= 15
