"""The beats of the server: STOMP-HEARTBEAT-001 to 006 and 011."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.stomp.answer_times import AnswerTimes
from conformance.suite.stomp.heart_beats import (
    LONGEST,
    WATCH,
    HeartBeatSession,
    act_periodically,
    expect_open,
    longest_gap,
    negotiate,
)
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.reactions import ATTEMPTS
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.operations import QueueClient, StompOperations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

POLL = "/consumer/poll"
#: Seconds that a poll waits beside the beats, where the server allows it.
LONGEST_WAIT = 20.0
#: Tolerated excess of a gap: seconds, or part of the interval (chapter on heart-beats).
SLACK, SLACK_PART = 0.1, 0.1
#: Factor by which the scheduling delay of the server may exceed the one that this machine shows.
BUSY = 3
#: Line ends within so many seconds after a frame don't count as beats (STOMP-HEARTBEAT-004).
SETTLED = 0.3


@clauses("STOMP-HEARTBEAT-001")
def test_connected_has_two_heart_beat_numbers(bench: Bench) -> None:
    """Send CONNECT with `heart-beat:x,y`; expect two decimal numbers and a comma in that of CONNECTED."""
    fixture = StompFixture(bench)
    session = [
        negotiate(fixture, *numbers)
        for numbers in [(0, 0), (1000, 1000), (500, 0), (0, 500), (1, 1), (10**6, 10**6)]
    ]
    if all(one.header is None for one in session):
        bench.skip("STOMP-HEARTBEAT-001", "CONNECTED has no heart-beat header")


@clauses("STOMP-HEARTBEAT-002")
@waits(lambda target: WATCH, clock="wall")
def test_without_the_header_there_are_no_beats(bench: Bench) -> None:
    """Send CONNECT without `heart-beat`, and nothing more; expect no beats, and the connection to stay open."""
    fixture = StompFixture(bench)
    client = bench.stomp(connect=False)
    fixture.connect(client)
    since = time.monotonic()
    client.listen(WATCH)
    expect_open(bench, "STOMP-HEARTBEAT-002", client, f"a silence of {WATCH:g} s without heart-beats")
    _judge_no_beats(bench, "STOMP-HEARTBEAT-002", client, since)


@clauses("STOMP-HEARTBEAT-003")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("wants", [0, 200, 1000])
def test_a_client_that_promises_no_beats_may_be_silent(bench: Bench, wants: int) -> None:
    """Send CONNECT with `heart-beat:0,n`, and nothing for several n; expect the connection to stay open."""
    fixture = StompFixture(bench)
    session = negotiate(fixture, 0, wants)
    session.client.listen(WATCH)
    expect_open(
        bench, "STOMP-HEARTBEAT-003", session.client, f"a silence of {WATCH:g} s with heart-beat:0,{wants}"
    )


def _judge_no_beats(bench: Bench, clause: str, client: StompClient, since: float) -> None:
    beats = [
        arrival.at - since for arrival in client.arrivals if arrival.beat and arrival.at > since + SETTLED
    ]
    bench.judge(
        clause,
        not beats,
        expected="no beats on an idle connection",
        observed=f"beats after {', '.join(f'{at:.2f}' for at in beats[:5])} s" if beats else "none",
    )


@clauses("STOMP-HEARTBEAT-004")
@waits(lambda target: WATCH, clock="wall")
def test_a_client_that_wants_no_beats_gets_none(bench: Bench) -> None:
    """Send CONNECT with `heart-beat:n,0`, and beats; expect no beats on the idle connection."""
    fixture = StompFixture(bench)
    session = negotiate(fixture, 400, 0)
    since = time.monotonic()
    act_periodically(session.client, WATCH, max(session.client_interval, 0.4) / 2, session.client.beat)
    _judge_no_beats(bench, "STOMP-HEARTBEAT-004", session.client, since)


@clauses("STOMP-HEARTBEAT-005", "STOMP-HEARTBEAT-006", "STOMP-HEARTBEAT-011")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("wants", [1, 50, 300, 1000])
def test_the_server_beats_as_often_as_agreed(bench: Bench, wants: int) -> None:
    """Send CONNECT with `heart-beat:0,n`; expect line ends at least every max(sx, cy), and no frames."""

    def idle(session: HeartBeatSession) -> float:
        since = time.monotonic()
        session.client.listen(max(WATCH, 3.5 * session.server_interval))
        others = [frame.octets for frame in session.client.inbox]
        bench.judge(
            "STOMP-HEARTBEAT-006",
            not others,
            expected="nothing but line ends on an idle connection",
            observed=others or "line ends",
        )
        return since

    _judge_gaps(bench, ("STOMP-HEARTBEAT-005", "STOMP-HEARTBEAT-011"), wants, idle, "idle")


@clauses("STOMP-HEARTBEAT-005")
@waits(lambda target: WATCH, clock="wall")
def test_the_server_beats_after_messages(bench: Bench) -> None:
    """Send and receive messages, and leave a transaction open; expect the beats to go on afterwards, the first of them
    an interval behind the last message.
    """

    def after_messages(session: HeartBeatSession) -> float:
        fixture = StompFixture(bench)
        loopback = Loopback(fixture, session.client)
        for number in range(5):
            loopback.send(body=f"m{number}")
            loopback.expect_message()
        if fixture.has_transactions:
            session.client.begin(bench.fresh("transaction"))
            fixture.fence(session.client)
        since = time.monotonic()
        session.client.listen(max(WATCH, 3.5 * session.server_interval))
        return since

    # A beat that is left out shows best where the interval is far above the tolerance.
    _judge_gaps(bench, ("STOMP-HEARTBEAT-005",), 1000, after_messages, "after messages")


@clauses("STOMP-HEARTBEAT-005")
@waits(lambda target: WATCH, clock="wall")
def test_the_server_beats_while_the_client_sends(bench: Bench) -> None:
    """Send SENDs all the time; expect the beats of the server all the same."""

    def busy(session: HeartBeatSession) -> float:
        fixture, client = StompFixture(bench), session.client
        destination = fixture.topic()
        since = time.monotonic()
        seconds = max(WATCH, 3.5 * session.server_interval)
        act_periodically(client, seconds, 0.1, lambda: fixture.send(client, destination, "to nobody"))
        return since

    _judge_gaps(bench, ("STOMP-HEARTBEAT-005",), 300, busy, "while the client sends")


@clauses("STOMP-HEARTBEAT-005")
@waits(lambda target: WATCH, clock="wall")
def test_the_server_beats_while_a_poll_waits(bench: Bench) -> None:
    """Send a long poll of the queue; expect the beats to go on while it waits."""
    longest = bench.limit("wait_seconds") or LONGEST_WAIT
    if not (bench.claims("queue-stomp") and bench.declares("long-poll")) or longest < WATCH:
        bench.skip("STOMP-HEARTBEAT-005", "no poll of a session may wait so long")
        return

    def waiting(session: HeartBeatSession) -> float:
        queue = QueueClient(StompOperations(session.client))
        group, consumer = bench.fresh("group"), bench.fresh("consumer")
        queue.add_group(group)
        queue.register(group, consumer)
        queue.start(POLL, {"consumer_name": consumer, "wait_seconds": min(longest, LONGEST_WAIT)})
        since = time.monotonic()
        session.client.listen(max(WATCH, 3.5 * session.server_interval))
        return since

    _judge_gaps(bench, ("STOMP-HEARTBEAT-005",), 300, waiting, "while a poll waits")


def _judge_gaps(
    bench: Bench, clauses: Sequence[str], wants: int, watch: Callable[[HeartBeatSession], float], when: str
) -> None:
    """Judge the longest gap since the time (monotonic seconds) that `watch` returns.

    A gap that is too long is looked for again, each time on a new session: this machine may have been busy. The last
    time the server is asked something else all the while: one that serves many is late with all that it sends.
    """
    for attempt_number in range(1, ATTEMPTS + 1):
        fixture = StompFixture(bench)
        session = negotiate(fixture, 0, wants)
        if reason := _nothing_to_watch(session):
            _skip(bench, clauses, f"{session} for heart-beat:0,{wants}: {reason}")
            return
        late = 0.0
        if attempt_number < ATTEMPTS:
            since = watch(session)
        else:
            with AnswerTimes(fixture) as answers:
                since = watch(session)
            late = answers.longest
        if session.client.closed:
            _skip(
                bench,
                clauses,
                f"the connection ended, whose client promised no beats: {session.client.closed}",
            )
            return
        interval, gap = session.server_interval, longest_gap(session.client, since)
        slack = (
            max(SLACK, SLACK_PART * interval)
            + bench.target.round_trip
            + BUSY * bench.scheduling_delay()
            + late
        )
        if gap > interval + slack and attempt_number < ATTEMPTS:
            continue
        for clause in clauses:
            bench.judge(
                clause,
                gap <= interval + slack,
                expected=f"data at least every {interval:g} s, {when} (tolerated: {interval + slack:.2f} s)",
                observed=f"a gap of {gap:.2f} s after {session}, in attempt {attempt_number}",
            )
        return


def _nothing_to_watch(session: HeartBeatSession) -> str:
    if not session.server_interval:
        return "it promises no beats"
    return f"it beats every {session.server_interval:g} s only" if session.server_interval > LONGEST else ""


def _skip(bench: Bench, clauses: Sequence[str], reason: str) -> None:
    for clause in {*clauses, "STOMP-HEARTBEAT-006"}:
        bench.skip(clause, reason)
