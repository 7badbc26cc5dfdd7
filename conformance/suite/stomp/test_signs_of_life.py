"""The beats of the client, and what a server may make of their absence: STOMP-HEARTBEAT-003 and 007 to 010."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.stomp.attempts import attempt, judge_refused_attempt
from conformance.suite.stomp.heart_beats import LONGEST, WATCH, agree, judge_kept, keep_busy
from conformance.suite.stomp.loopback import Echo
from conformance.suite.stomp.reactions import ATTEMPTS
from conformance.suite.stomp.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.heart_beats import Agreed
    from conformance.wire.stomp import StompClient

MALFORMED = ["abc", "1000", "-1,5", "1000, 1000", "1,2,3", "1000,", ",1000", "", f"{10**30},{10**30}"]


def beating(
    bench: Bench, clause: str, sends: int, beat: Callable[[Agreed], float]
) -> tuple[Agreed, float] | None:
    """A session whose client promised beats every `sends` ms, and what `beat` gave, after it went on beating.

    Where the connection ended it is tried again: the machine may have been busy. None where there is no interval to
    keep, or one that is too long to watch; then the clause is skipped.
    """
    for _ in range(ATTEMPTS):
        agreed = agree(Scene(bench), sends, 0)
        if not 0 < agreed.from_client <= LONGEST:
            bench.skip(clause, f"{agreed}: there is no interval to keep, or one that is too long to watch")
            return None
        gave = beat(agreed)
        if agreed.client.closed is None:
            break
    return agreed, gave


@clauses("STOMP-HEARTBEAT-007")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("octets", ["frames", "beats", "pieces"])
def test_all_octets_of_the_client_are_signs_of_life(bench: Bench, octets: str) -> None:
    """A client that promised beats is kept if it sends frames, line ends, or one frame octet by octet."""
    scene = Scene(bench)
    place = scene.topic()
    if octets == "pieces" and not _reads_split_frames(scene):
        bench.skip(
            "STOMP-HEARTBEAT-007", "the server reads no frame that is split over messages (STOMP-WS-004)"
        )
        return

    def busy(agreed: Agreed) -> float:
        client, seconds = agreed.client, max(4 * agreed.from_client + 0.5, 2.5)
        if octets == "pieces":
            return _trickle(scene, client, seconds, agreed.from_client)
        act = client.beat if octets == "beats" else lambda: scene.send(client, place, "x")
        return keep_busy(client, seconds, 0.6 * agreed.from_client, act)

    if (outcome := beating(bench, "STOMP-HEARTBEAT-007", 500, busy)) is None:
        return
    agreed, _ = outcome
    if octets == "pieces" and agreed.client.closed and _closes_what_trickles(scene, agreed.from_client):
        bench.skip("STOMP-HEARTBEAT-007", "the server closes on unfinished frames anyway (STOMP-LIMIT-008)")
        return
    judge_kept(
        bench, "STOMP-HEARTBEAT-007", agreed.client, f"{octets} every 0.6 n, n = {agreed.from_client:g} s"
    )


def _reads_split_frames(scene: Scene) -> bool:
    echo = Echo(scene)
    octets = echo.raw(body=b"split")
    echo.client.send_octets(octets[:9])
    echo.client.send_octets(octets[9:])
    return echo.maybe() is not None


def _trickle(scene: Scene, client: StompClient, seconds: float, interval: float) -> float:
    """One frame, an octet at a time."""
    octets = iter(Echo(scene).raw(body=b"x" * 1000))
    return keep_busy(client, seconds, 0.6 * interval, lambda: client.send_octets(bytes([next(octets)])))


def _closes_what_trickles(scene: Scene, interval: float) -> bool:
    """Whether the same trickle ends a connection without heart-beats: then it isn't their doing."""
    client = scene.client()
    _trickle(scene, client, max(4 * interval + 0.5, 2.5), interval)
    return client.closed is not None


@clauses("STOMP-HEARTBEAT-008", "STOMP-HEARTBEAT-003")
@waits(lambda target: WATCH, clock="wall")
def test_a_client_that_breaks_its_promise(bench: Bench) -> None:
    """Recorded: when a silent client is dropped. Never, if the server asked for no beats."""
    agreed = agree(Scene(bench), 500, 0)
    since = time.monotonic()
    agreed.client.listen(max(WATCH, min(4.0, agreed.from_client + 1)))
    ended = time.monotonic() - since
    closed = agreed.client.closed is not None
    if not agreed.from_client:
        judge_kept(
            bench,
            "STOMP-HEARTBEAT-003",
            agreed.client,
            f"silence where the server asks for no beats ({agreed})",
        )
        bench.observe("STOMP-HEARTBEAT-008", "the server asks for no beats")
        return
    interval = f"an interval of {agreed.from_client:g} s"
    seen = f"dropped after {ended:.0f} to {ended + 1:.0f} s" if closed else f"kept for {WATCH:g} s"
    bench.observe(
        "STOMP-HEARTBEAT-008",
        f"{seen} of silence, {interval}, {'with' if agreed.client.errors else 'no'} ERROR",
    )
    bench.skip("STOMP-HEARTBEAT-003", "the server asks for beats")


@clauses("STOMP-HEARTBEAT-009")
@waits(lambda target: 1.1 * 4, clock="wall")
def test_a_client_that_is_a_little_late_is_kept(bench: Bench) -> None:
    """A client that beats every 1.1 n stays connected."""

    def late(agreed: Agreed) -> float:
        interval = 1.1 * agreed.from_client
        longest = keep_busy(agreed.client, 4 * interval, interval, agreed.client.beat)
        agreed.client.listen(0.5 * interval)
        return longest

    if (outcome := beating(bench, "STOMP-HEARTBEAT-009", 800, late)) is None:
        return
    agreed, longest = outcome
    interval = agreed.from_client
    if agreed.client.closed and max(longest, bench.scheduling_delay()) > 1.15 * interval:
        bench.skip("STOMP-HEARTBEAT-009", f"this machine was too busy: it beat after {longest:.2f} s")
        return
    judge_kept(bench, "STOMP-HEARTBEAT-009", agreed.client, f"beats every {1.1 * interval:.2f} s ({agreed})")


@clauses("STOMP-HEARTBEAT-010", "STOMP-CONNECT-002")
@pytest.mark.parametrize("value", MALFORMED, ids=repr)
def test_a_malformed_header(bench: Bench, value: str) -> None:
    """Recorded: whether CONNECT is refused. A refusal should be an ERROR and the end of the connection."""
    scene = Scene(bench)
    tried = attempt(scene, {"heart-beat": value})
    bench.observe(
        "STOMP-HEARTBEAT-010", f"heart-beat:{value[:12]} is {'accepted' if tried.connected else 'refused'}"
    )
    judge_refused_attempt(scene, tried, f"heart-beat:{value}")
