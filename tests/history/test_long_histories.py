"""The time of a judgement grows little faster than the history: no checker compares everything with everything."""

import time

import pytest

from conformance.history.files import HistoryFile
from conformance.history.judgement import judge
from conformance.history.system_facts import facts_of
from tests.history.long_histories import KINDS

SHORT, TIMES = 2_000, 6
#: Growth that is allowed for `TIMES` as many events: n log n grows by 7 to 8, n² by 36.
MOST = 15.0


def seconds(kind: str, events: int) -> float:
    """Processor time of a judgement, in seconds."""
    story = KINDS[kind](events)
    file = HistoryFile(kind, facts_of(story.parameters), story.history, len(story.history))
    began = time.process_time()
    judge(file)
    return time.process_time() - began


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_does_not_grow_with_the_square(kind: str) -> None:
    """The smallest of three measurements counts; the search for smallest histories is bounded by itself."""
    short = min(seconds(kind, SHORT) for _ in range(3))
    long = min(seconds(kind, TIMES * SHORT) for _ in range(2))
    assert long < MOST * max(short, 0.05), (
        f"{short:.3f} s for {SHORT} events, {long:.3f} s for {TIMES} times as many"
    )
