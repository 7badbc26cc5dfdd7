"""The virtual clock (extensions virtual-clock, virtual-clock-per-group): CLOCK-*."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.run.group_clock import ADVANCE
from conformance.suite.queue.clock_control import eviction_comes, rebalance_ends
from conformance.suite.queue.expectations import expect_refusal, expect_status, refused
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.queue_client import MARGIN
from conformance.suite.queue.rebalance_in_progress import begin_rebalance

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.http import HttpReply

#: An advance of the whole queue, in seconds, that disturbs no timer of another test: a run makes ten of them, and those
#: of eight concurrent runs stay below MARGIN, by which tests keep away from their deadlines.
TINY = 1e-5
BAD_SECONDS: dict[str, bytes] = {
    "missing": b"{}",
    "negative": b'{"seconds": -1}',
    "string": b'{"seconds": "5"}',
    "boolean": b'{"seconds": true}',
    "null": b'{"seconds": null}',
    "list": b'{"seconds": [5]}',
    "no object": b"[5]",
    "a number": b"5",
    "no JSON": b"seconds=5",
    "no body": b"",
}


def _advance(bench: Bench, **body: Any) -> HttpReply:
    bench.step(f"{ADVANCE} {body}")
    return bench.http().request(
        "POST", ADVANCE, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )


def _step(bench: Bench) -> float:
    """Seconds by which to advance the whole queue: very few if others may use the queue on clocks of their groups."""
    return TINY if bench.declares("virtual-clock-per-group") else 1.0


def _advance_queue(bench: Bench, seconds: float) -> None:
    reply = _advance(bench, seconds=seconds)
    expect_status(bench, reply, 200, "CLOCK-1", "`seconds` is a number from 0")
    bench.judge_schema("CLOCK-1", "clock-advance-reply", reply.json())


def _reach_by_queue(queue: QueueFixture, group: str, instant: float, silent: tuple[str, ...]) -> None:
    """Bring the time of a group just past an instant by a last step of the whole queue."""
    step = _step(queue.bench)
    queue.wait_until(group, instant - 0.75 * step, *silent)
    _advance_queue(queue.bench, step)


def _reach_by_group(queue: QueueFixture, group: str, instant: float, silent: tuple[str, ...]) -> None:
    """Bring the time of a group just past an instant by steps of the group alone."""
    queue.wait_until(group, instant + MARGIN, *silent)


@clauses("CLOCK-1")
def test_advancing_the_queue_ends_a_rebalance(bench: Bench) -> None:
    """Advance the queue up to the rebalance timeout and then past it; expect the records that the owner holds to be
    taken back after the second advance and not before.
    """
    if (rebalance := begin_rebalance(bench, "CLOCK-1")) is None:
        return
    queue, timeout = rebalance.queue, rebalance.queue.timings.rebalance_timeout
    end = rebalance.started[1] + timeout
    # So far from the end that neither concurrent advances of the whole queue reach it, nor a clock that runs by itself.
    queue.wait_until(rebalance.group, end - timeout / 4)
    queue.expect_no_record(
        rebalance.newcomer, "REBALANCE-2", "no record: the rebalance has not come to its end yet"
    )
    _reach_by_queue(queue, rebalance.group, end, ())
    came = queue.poll_all(rebalance.newcomer)
    ended = len(came) >= rebalance.half
    bench.judge(
        "CLOCK-1" if ended or not eviction_comes(bench, _reach_by_queue) else "REBALANCE-5",
        ended,
        expected=f"the records of {rebalance.half} partitions, taken back by then",
        observed=[record.whole for _, record in came],
    )


@clauses("CLOCK-1")
def test_advancing_the_queue_evicts_a_silent_consumer(bench: Bench) -> None:
    """Advance the queue past heartbeat timeout and grace of a silent consumer; expect its heartbeat to be refused
    (4xx).
    """
    evicted = eviction_comes(bench, _reach_by_queue)
    bench.judge(
        "CLOCK-1" if evicted or not rebalance_ends(bench, _reach_by_queue) else "LIVE-EVICT-1",
        evicted,
        expected="4xx for a consumer that was silent for longer than timeout and grace",
        observed="its heartbeat was refused" if evicted else "its heartbeat was answered",
    )


@clauses("CLOCK-1")
def test_the_queue_advances_by_the_seconds_asked_for(bench: Bench) -> None:
    """Advance the queue twice; expect `now` to grow by the seconds of each advance. Others may advance it, too."""
    step = _step(bench)
    told = [_now(bench, _advance(bench, seconds=seconds)) for seconds in (0, step, 2 * step)]
    bench.judge(
        "CLOCK-1",
        told[1] - told[0] >= 0.9 * step and told[2] - told[1] >= 1.8 * step,
        expected=f"`now` {step:g} s further, then {2 * step:g} s",
        observed=told,
    )


@clauses("CLOCK-1")
def test_the_queue_takes_groups_along_whose_time_was_moved(bench: Bench) -> None:
    """Advance a group, then the queue; expect the time of the group to grow as much as that of the queue."""
    if not bench.declares("virtual-clock-per-group"):
        bench.skip("CLOCK-1", "groups have no time of their own (extension virtual-clock-per-group)")
        return
    group, step = QueueFixture(bench).new_group(), _step(bench)
    _advance(bench, seconds=1.0, consumer_group_name=group)

    def of_queue() -> float:
        return _now(bench, _advance(bench, seconds=0))

    def of_group() -> float:
        return _now(bench, _advance(bench, seconds=0, consumer_group_name=group))

    before, group_before = of_queue(), of_group()
    _advance_queue(bench, step)
    group_after, after = of_group(), of_queue()
    # Others may advance the queue meanwhile: the readings of its time lie around those of the group's.
    bench.judge(
        "CLOCK-1",
        0.9 * step <= group_after - group_before <= after - before + 0.1 * step,
        expected=f"the time of the group {step:g} s further, as that of the queue",
        observed=f"from {group_before} to {group_after}, while the queue went from {before} to {after}",
    )


@clauses("CLOCK-1")
def test_advancing_by_zero_is_allowed(bench: Bench) -> None:
    """Advance the queue by 0 and 0.0 seconds; expect 200."""
    for nothing in (0, 0.0):
        _advance_queue(bench, nothing)


@clauses("CLOCK-2")
def test_virtual_time_stands_still_between_two_advances(bench: Bench) -> None:
    """Advance by zero, do some work, and advance by zero again; expect the same `now`: real time does not count."""
    before = _now(bench, _advance(bench, seconds=0))
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(20):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 20)
    after = _now(bench, _advance(bench, seconds=0))
    bench.judge(
        "CLOCK-2", abs(after - before) < MARGIN, expected=f"the time as before, {before}", observed=after
    )


def _now(bench: Bench, reply: HttpReply) -> float:
    document = reply.json()
    now = document.get("now") if isinstance(document, dict) else None
    bench.judge("CLOCK-1", isinstance(now, int | float), expected="a number as now", observed=reply)
    return float(now or 0.0)


@clauses("CLOCK-3")
def test_one_group_advances_alone(bench: Bench) -> None:
    """Advance one of two groups past the timeout of its member; expect only that member to be evicted."""
    queue = QueueFixture(bench)
    groups = [queue.new_group(), queue.new_group()]
    moved, other = (queue.new_consumer(group) for group in groups)
    timings = queue.timings
    seconds = timings.heartbeat_timeout + timings.eviction_grace + MARGIN
    reply = _advance(bench, seconds=seconds, consumer_group_name=groups[0])
    expect_status(bench, reply, 200, "CLOCK-3", "the group exists")
    bench.judge_schema("CLOCK-3", "clock-advance-reply", reply.json())
    gone, kept = queue.heartbeat(moved), queue.heartbeat(other)
    clause = "CLOCK-3" if refused(gone) or not rebalance_ends(bench, _reach_by_group) else "LIVE-EVICT-1"
    expect_refusal(bench, gone, clause, "the consumer was silent for longer than timeout and grace")
    expect_status(bench, kept, 202, "CLOCK-3", "the time of its group was not advanced")


@clauses("CLOCK-3")
def test_a_group_advances_by_the_seconds_asked_for(bench: Bench) -> None:
    """Advance one group twice; expect `now` to grow by the seconds of each advance."""
    group = QueueFixture(bench).new_group()
    told = [_now(bench, _advance(bench, seconds=step, consumer_group_name=group)) for step in (0, 1.5, 0.25)]
    steps = [told[1] - told[0], told[2] - told[1]]
    bench.judge(
        "CLOCK-3",
        abs(steps[0] - 1.5) < MARGIN and abs(steps[1] - 0.25) < MARGIN,
        expected="`now` 1.5 s further, then 0.25 s",
        observed=told,
    )


@clauses("CLOCK-3")
def test_an_unknown_group_cannot_be_advanced(bench: Bench) -> None:
    """Advance a group that was never added; expect a refusal (4xx)."""
    reply = _advance(bench, seconds=1, consumer_group_name=bench.fresh("nowhere"))
    expect_refusal(bench, reply, "CLOCK-3", "no such group")


@clauses("CLOCK-4")
@pytest.mark.parametrize("body", BAD_SECONDS.values(), ids=BAD_SECONDS.keys())
def test_an_invalid_number_of_seconds_is_refused(bench: Bench, body: bytes) -> None:
    """Advance without a number of seconds from 0; expect a refusal (4xx), and the same `now` as before."""
    before = _now(bench, _advance(bench, seconds=0))
    reply = bench.http().request("POST", ADVANCE, body, {"Content-Type": "application/json"})
    expect_refusal(bench, reply, "CLOCK-4", f"the body is {body!r}")
    after = _now(bench, _advance(bench, seconds=0))
    bench.judge(
        "CLOCK-4", abs(after - before) < MARGIN, expected=f"the time as before, {before}", observed=after
    )
