"""The beats of the client, and the server's reaction to their absence: STOMP-HEARTBEAT-003, 007 to 010."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.run.parallelism import FAR_ROUND_TRIP
from conformance.suite.stomp.answer_times import AnswerTimes
from conformance.suite.stomp.attempts import judge_refused_connect, try_connect
from conformance.suite.stomp.heart_beats import LONGEST, WATCH, act_periodically, expect_open, negotiate
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.reactions import ATTEMPTS
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import TooSlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.heart_beats import HeartBeatSession
    from conformance.wire.stomp import StompClient

#: Factor of the intervals on a distant server.
AWAY = 3
#: Part of an interval by which all that reaches the server, or its answers, may be late.
SLOW_PART = 0.3
#: Seconds of silence, a small part of a long interval.
SHORT_SILENCE = 2.0
MALFORMED = ["abc", "1000", "-1,5", "1000, 1000", "1,2,3", "1000,", ",1000", "", f"{10**30},{10**30}"]


def beating_session(
    bench: Bench, clause: str, sends: int, beat: Callable[[HeartBeatSession], float]
) -> tuple[HeartBeatSession, float] | None:
    """A session whose client promised beats every `sends` ms and sent them, and the result of `beat`.

    On a distant server the intervals are AWAY times as long. A connection that ended is tried again: this machine may
    have been busy. None, with the clause skipped, if the two sides agreed on no interval, or on one that is too long to
    watch. Raises TooSlow if the last connection ended while the server was slow to answer anything.
    """
    if bench.target.round_trip >= FAR_ROUND_TRIP:
        sends *= AWAY
    for number in range(1, ATTEMPTS + 1):
        fixture = StompFixture(bench)
        session = negotiate(fixture, sends, 0)
        if not 0 < session.client_interval <= LONGEST:
            bench.skip(clause, f"{session}: there is no interval to keep, or one that is too long to watch")
            return None
        if number < ATTEMPTS:
            gave = beat(session)
        else:
            with AnswerTimes(fixture) as answers:
                gave = beat(session)
            late = answers.longest - bench.target.round_trip
            if session.client.closed and late > SLOW_PART * session.client_interval:
                raise TooSlow(
                    f"the server took {answers.longest:.2f} s to answer while its client sent beats"
                )
        if session.client.closed is None:
            break
    return session, gave


@clauses("STOMP-HEARTBEAT-007")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("octets", ["frames", "beats", "pieces"])
def test_all_octets_of_the_client_are_signs_of_life(bench: Bench, octets: str) -> None:
    """Send frames, line ends, or one frame octet by octet, instead of beats; expect the connection to stay open."""
    fixture = StompFixture(bench)
    destination = fixture.topic()
    if octets == "pieces" and not _reads_split_frames(fixture):
        bench.skip(
            "STOMP-HEARTBEAT-007", "the server reads no frame that is split over messages (STOMP-WS-004)"
        )
        return

    def busy(session: HeartBeatSession) -> float:
        client, seconds = session.client, max(4 * session.client_interval + 0.5, 2.5)
        if octets == "pieces":
            return _trickle(fixture, client, seconds, session.client_interval)
        if octets == "beats":
            fixture.subscribe(client, destination)  # a session that only listens sends nothing but beats
        act = client.beat if octets == "beats" else lambda: fixture.send(client, destination, "x")
        return act_periodically(client, seconds, 0.6 * session.client_interval, act)

    if (outcome := beating_session(bench, "STOMP-HEARTBEAT-007", 500, busy)) is None:
        return
    session, _ = outcome
    if (
        octets == "pieces"
        and session.client.closed
        and _closes_what_trickles(fixture, session.client_interval)
    ):
        bench.skip("STOMP-HEARTBEAT-007", "the server closes on unfinished frames anyway (STOMP-LIMIT-008)")
        return
    expect_open(
        bench,
        "STOMP-HEARTBEAT-007",
        session.client,
        f"{octets} every 0.6 n, n = {session.client_interval:g} s",
    )


def _reads_split_frames(fixture: StompFixture) -> bool:
    loopback = Loopback(fixture)
    octets = loopback.octets(b"SEND\n<destination>\n\nsplit\0")
    loopback.client.send_octets(octets[:9])
    loopback.client.send_octets(octets[9:])
    return loopback.message_or_none() is not None


def _trickle(fixture: StompFixture, client: StompClient, seconds: float, interval: float) -> float:
    """Send one frame, an octet at a time."""
    octets = iter(Loopback(fixture).octets(b"SEND\n<destination>\n\n<body>\0", body=b"x" * 1000))
    return act_periodically(
        client, seconds, 0.6 * interval, lambda: client.send_octets(bytes([next(octets)]))
    )


def _closes_what_trickles(fixture: StompFixture, interval: float) -> bool:
    """True if the same trickle ends a connection without heart-beats: then they aren't the cause."""
    client = fixture.client()
    _trickle(fixture, client, max(4 * interval + 0.5, 2.5), interval)
    return client.closed is not None


@clauses("STOMP-HEARTBEAT-008", "STOMP-HEARTBEAT-003")
@waits(lambda target: WATCH, clock="wall")
def test_a_client_without_its_promised_beats(bench: Bench) -> None:
    """Promise beats and send nothing. Recorded: the end. Expect none if the server asked for no beats."""
    session = negotiate(StompFixture(bench), 500, 0)
    since = time.monotonic()
    session.client.listen(max(WATCH, min(4.0, session.client_interval + 1)))
    ended = time.monotonic() - since
    closed = session.client.closed is not None
    if not session.client_interval:
        expect_open(
            bench,
            "STOMP-HEARTBEAT-003",
            session.client,
            f"silence where the server asks for no beats ({session})",
        )
        bench.observe("STOMP-HEARTBEAT-008", "the server asks for no beats")
        return
    interval = f"an interval of {session.client_interval:g} s"
    seen = f"dropped after {ended:.0f} to {ended + 1:.0f} s" if closed else f"kept for {WATCH:g} s"
    bench.observe(
        "STOMP-HEARTBEAT-008",
        f"{seen} of silence, {interval}, {'with' if session.client.errors else 'no'} ERROR",
    )
    bench.skip("STOMP-HEARTBEAT-003", "the server asks for beats")


@clauses("STOMP-HEARTBEAT-009")
@waits(lambda target: 1.1 * 4, clock="wall")
def test_a_client_that_is_a_little_late_is_kept(bench: Bench) -> None:
    """Send a beat every 1.1 n; expect the connection to stay open."""

    def late(session: HeartBeatSession) -> float:
        interval = 1.1 * session.client_interval
        longest = act_periodically(session.client, 4 * interval, interval, session.client.beat)
        session.client.listen(0.5 * interval)
        return longest

    if (outcome := beating_session(bench, "STOMP-HEARTBEAT-009", 800, late)) is None:
        return
    session, longest = outcome
    interval = session.client_interval
    if session.client.closed and max(longest, bench.scheduling_delay()) > 1.15 * interval:
        bench.skip("STOMP-HEARTBEAT-009", f"this machine was too busy: it beat after {longest:.2f} s")
        return
    expect_open(
        bench, "STOMP-HEARTBEAT-009", session.client, f"beats every {1.1 * interval:.2f} s ({session})"
    )


@clauses("STOMP-HEARTBEAT-009")
@waits(lambda target: SHORT_SILENCE, clock="wall")
@pytest.mark.parametrize("sends", [20_000, 2_200_000])
def test_a_client_of_a_long_interval_may_be_silent(bench: Bench, sends: int) -> None:
    """Promise beats at long intervals, and send nothing for a small part of one; expect the connection to stay open."""
    session = negotiate(StompFixture(bench), sends, 0)
    session.client.listen(SHORT_SILENCE)
    expect_open(
        bench,
        "STOMP-HEARTBEAT-009",
        session.client,
        f"a silence of {SHORT_SILENCE:g} s with heart-beat:{sends},0 ({session})",
    )


@clauses("STOMP-HEARTBEAT-010", "STOMP-CONNECT-002")
@pytest.mark.parametrize("value", MALFORMED, ids=repr)
def test_a_malformed_heart_beat_header(bench: Bench, value: str) -> None:
    """Send CONNECT with `heart-beat:abc`. Recorded: a refusal, which should be an ERROR and the end."""
    fixture = StompFixture(bench)
    tried = try_connect(fixture, {"heart-beat": value})
    bench.observe(
        "STOMP-HEARTBEAT-010", f"heart-beat:{value[:12]} is {'accepted' if tried.connected else 'refused'}"
    )
    judge_refused_connect(fixture, tried, f"heart-beat:{value}")
