"""Signs of life in both directions: STOMP-HEARTBEAT-*.

All waits are of the wall clock and overlap. What is judged is the interval that the two sides agreed on, whatever
the server made of the numbers that were asked for.
"""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conformance.marks import clauses, waits
from conformance.suite.stomp.attempts import attempt, judge_refused_attempt
from conformance.suite.stomp.echo import Echo
from conformance.suite.stomp.reactions import ATTEMPTS
from conformance.suite.stomp.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench import Bench
    from conformance.wire.stomp import StompClient

#: Seconds for which a connection is watched where the intervals ask for no more.
WATCH = 3.5
#: Longest interval, in seconds, that is waited for; a server that offers no shorter one is not judged.
LONGEST = 5.0
#: A gap may exceed the interval by so many seconds, or by that part of it (chapter on heart-beats).
SLACK, SLACK_PART = 0.1, 0.1
#: Times as long as our threads had to wait for their turn may those of the server have waited.
BUSY = 3
#: Line ends that come within so many seconds after a frame are no beats (STOMP-HEARTBEAT-004).
SETTLED = 0.3
NUMBERS = re.compile(r"([0-9]+),([0-9]+)")
MALFORMED = ["abc", "1000", "-1,5", "1000, 1000", "1,2,3", "1000,", ",1000", "", f"{10**30},{10**30}"]


@dataclass(frozen=True)
class Agreed:
    """A session and the intervals that hold on it, in seconds; 0 where there are no beats."""

    client: StompClient
    from_server: float
    from_client: float
    said: str | None

    def __str__(self) -> str:
        return f"CONNECTED with heart-beat:{self.said}"


def agree(scene: Scene, sends: int, wants: int) -> Agreed:
    """Open a session with `heart-beat:{sends},{wants}`; judges STOMP-HEARTBEAT-001."""
    client = scene.bench.stomp(connect=False)
    said = scene.connect(client, heart_beat=f"{sends},{wants}").get("heart-beat")
    numbers = NUMBERS.fullmatch(said if said is not None else "0,0")
    if said is not None:
        scene.judge(
            "STOMP-HEARTBEAT-001",
            numbers is not None,
            expected="two decimal numbers joined by a comma",
            observed=f"heart-beat:{said}",
        )
    offers, asks = (int(number) for number in numbers.groups()) if numbers else (0, 0)
    return Agreed(
        client,
        max(offers, wants) / 1000 if offers and wants else 0.0,
        max(sends, asks) / 1000 if sends and asks else 0.0,
        said,
    )


def widest_gap(client: StompClient, since: float) -> float:
    """The longest time without a sign of life of the server, from `since` (monotonic seconds) to now."""
    times = [since, *(arrival.at for arrival in client.arrivals if arrival.at > since), time.monotonic()]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def keep_busy(client: StompClient, seconds: float, interval: float, act: Callable[[], object]) -> float:
    """Do something at every interval for so many seconds, reading meanwhile; the longest interval that it became."""
    started = last = time.monotonic()
    longest = 0.0
    for number in itertools.count(1):
        due = started + number * interval
        client.listen(max(0.0, due - time.monotonic()))
        if client.closed:
            break
        act()
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if now >= started + seconds:
            break
    return longest


@clauses("STOMP-HEARTBEAT-001")
def test_connected_has_two_numbers(bench: Bench) -> None:
    """Whatever the client asks for, the answer is two decimal numbers and a comma."""
    scene = Scene(bench)
    agreed = [
        agree(scene, *numbers)
        for numbers in [(0, 0), (1000, 1000), (500, 0), (0, 500), (1, 1), (10**6, 10**6)]
    ]
    if all(one.said is None for one in agreed):
        bench.skip("STOMP-HEARTBEAT-001", "CONNECTED has no heart-beat header")


@clauses("STOMP-HEARTBEAT-002")
@waits(lambda target: WATCH, clock="wall")
def test_without_the_header_there_are_no_beats(bench: Bench) -> None:
    """A CONNECT without heart-beat: no beats come, and the silent client is not dropped."""
    scene = Scene(bench)
    client = bench.stomp(connect=False)
    scene.connect(client)
    since = time.monotonic()
    client.listen(WATCH)
    _judge_kept(bench, "STOMP-HEARTBEAT-002", client, f"a silence of {WATCH:g} s without heart-beats")
    _judge_no_beats(bench, "STOMP-HEARTBEAT-002", client, since)


@clauses("STOMP-HEARTBEAT-003")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("wants", [0, 200, 1000])
def test_a_client_that_promises_no_beats_may_be_silent(bench: Bench, wants: int) -> None:
    """With `heart-beat:0,n` a silence of several n is no reason to close."""
    scene = Scene(bench)
    agreed = agree(scene, 0, wants)
    agreed.client.listen(WATCH)
    _judge_kept(
        bench, "STOMP-HEARTBEAT-003", agreed.client, f"a silence of {WATCH:g} s with heart-beat:0,{wants}"
    )


def _judge_kept(bench: Bench, clause: str, client: StompClient, what: str) -> None:
    bench.judge(
        clause,
        client.closed is None and not client.errors,
        expected=f"the connection open after {what}",
        observed=client.closed or (f"{client.errors[0].octets!r}" if client.errors else "open"),
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
    """With `heart-beat:n,0` and beats of the client, an idle connection stays silent."""
    scene = Scene(bench)
    agreed = agree(scene, 400, 0)
    since = time.monotonic()
    keep_busy(agreed.client, WATCH, max(agreed.from_client, 0.4) / 2, agreed.client.beat)
    _judge_no_beats(bench, "STOMP-HEARTBEAT-004", agreed.client, since)


@clauses("STOMP-HEARTBEAT-005", "STOMP-HEARTBEAT-006", "STOMP-HEARTBEAT-011")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("wants", [1, 50, 300, 1000])
def test_the_server_beats_as_often_as_agreed(bench: Bench, wants: int) -> None:
    """On an idle connection no gap between two beats is longer than max(sx, cy), and beats are line ends."""

    def idle(agreed: Agreed) -> float:
        since = time.monotonic()
        agreed.client.listen(max(WATCH, 3.5 * agreed.from_server))
        others = [frame.octets for frame in agreed.client.inbox]
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
    """When messages have come and gone, the beats go on."""

    def after_messages(agreed: Agreed) -> float:
        echo = Echo(Scene(bench), agreed.client)
        for number in range(5):
            echo.send(body=f"m{number}")
            echo.back()
        since = time.monotonic()
        agreed.client.listen(max(WATCH, 3.5 * agreed.from_server))
        return since

    _judge_gaps(bench, ("STOMP-HEARTBEAT-005",), 300, after_messages, "after messages")


@clauses("STOMP-HEARTBEAT-005")
@waits(lambda target: WATCH, clock="wall")
def test_the_server_beats_while_the_client_sends(bench: Bench) -> None:
    """What the client sends doesn't take the place of the server's own beats."""

    def busy(agreed: Agreed) -> float:
        scene, client = Scene(bench), agreed.client
        place = scene.topic()
        since = time.monotonic()
        seconds = max(WATCH, 3.5 * agreed.from_server)
        keep_busy(client, seconds, 0.1, lambda: scene.send(client, place, "to nobody"))
        return since

    _judge_gaps(bench, ("STOMP-HEARTBEAT-005",), 300, busy, "while the client sends")


def _judge_gaps(
    bench: Bench, clauses: Sequence[str], wants: int, watch: Callable[[Agreed], float], when: str
) -> None:
    """Judge the gaps that `watch` sees from the time on that it gives.

    A gap that is too long is looked for again, each time on a new session: the machine may have been busy.
    """
    for attempt_number in range(1, ATTEMPTS + 1):
        agreed = agree(Scene(bench), 0, wants)
        if reason := _nothing_to_watch(agreed):
            _skip(bench, clauses, f"{agreed} for heart-beat:0,{wants}: {reason}")
            return
        since = watch(agreed)
        if agreed.client.closed:
            _skip(
                bench,
                clauses,
                f"the connection ended, whose client promised no beats: {agreed.client.closed}",
            )
            return
        interval, gap = agreed.from_server, widest_gap(agreed.client, since)
        slack = max(SLACK, SLACK_PART * interval) + bench.target.round_trip + BUSY * bench.lateness()
        if gap > interval + slack and attempt_number < ATTEMPTS:
            continue
        for clause in clauses:
            bench.judge(
                clause,
                gap <= interval + slack,
                expected=f"data at least every {interval:g} s, {when} (tolerated: {interval + slack:.2f} s)",
                observed=f"a gap of {gap:.2f} s after {agreed}, in attempt {attempt_number}",
            )
        return


def _nothing_to_watch(agreed: Agreed) -> str:
    if not agreed.from_server:
        return "it promises no beats"
    return f"it beats every {agreed.from_server:g} s only" if agreed.from_server > LONGEST else ""


def _skip(bench: Bench, clauses: Sequence[str], reason: str) -> None:
    for clause in {*clauses, "STOMP-HEARTBEAT-006"}:
        bench.skip(clause, reason)


@clauses("STOMP-HEARTBEAT-007")
@waits(lambda target: WATCH, clock="wall")
@pytest.mark.parametrize("octets", ["frames", "beats", "pieces"])
def test_all_octets_of_the_client_are_signs_of_life(bench: Bench, octets: str) -> None:
    """A client that promised beats is kept if it sends frames, line ends, or one frame octet by octet."""
    scene = Scene(bench)
    agreed = agree(scene, 500, 0)
    if not 0 < agreed.from_client <= LONGEST:
        bench.skip(
            "STOMP-HEARTBEAT-007", f"{agreed}: there is no interval to keep, or one that is too long to watch"
        )
        return
    seconds = max(4 * agreed.from_client + 0.5, 2.5)
    if octets == "pieces":
        if not _reads_split_frames(scene):
            bench.skip(
                "STOMP-HEARTBEAT-007", "the server reads no frame that is split over messages (STOMP-WS-004)"
            )
            return
        _trickle(scene, agreed.client, seconds, agreed.from_client)
        if agreed.client.closed and _closes_what_trickles(scene, seconds, agreed.from_client):
            bench.skip(
                "STOMP-HEARTBEAT-007", "the server closes on unfinished frames anyway (STOMP-LIMIT-008)"
            )
            return
    elif octets == "frames":
        place = scene.topic()
        keep_busy(
            agreed.client, seconds, 0.6 * agreed.from_client, lambda: scene.send(agreed.client, place, "x")
        )
    else:
        keep_busy(agreed.client, seconds, 0.6 * agreed.from_client, agreed.client.beat)
    _judge_kept(
        bench, "STOMP-HEARTBEAT-007", agreed.client, f"{octets} every 0.6 n, n = {agreed.from_client:g} s"
    )


def _reads_split_frames(scene: Scene) -> bool:
    echo = Echo(scene)
    octets = echo.raw(body=b"split")
    echo.client.send_octets(octets[:9])
    echo.client.send_octets(octets[9:])
    return echo.maybe() is not None


def _trickle(scene: Scene, client: StompClient, seconds: float, interval: float) -> None:
    """One frame, an octet at a time."""
    octets = iter(Echo(scene).raw(body=b"x" * 1000))
    keep_busy(client, seconds, 0.6 * interval, lambda: client.send_octets(bytes([next(octets)])))


def _closes_what_trickles(scene: Scene, seconds: float, interval: float) -> bool:
    """Whether the same trickle ends a connection without heart-beats: then it isn't their doing."""
    client = scene.client()
    _trickle(scene, client, seconds, interval)
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
        _judge_kept(
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
    agreed = agree(Scene(bench), 800, 0)
    interval = agreed.from_client
    if not 0 < interval <= LONGEST:
        bench.skip(
            "STOMP-HEARTBEAT-009", f"{agreed}: there is no interval to keep, or one that is too long to watch"
        )
        return
    longest = keep_busy(agreed.client, 4 * 1.1 * interval, 1.1 * interval, agreed.client.beat)
    agreed.client.listen(0.5 * interval)
    if agreed.client.closed and max(longest, bench.lateness()) > 1.15 * interval:
        bench.skip("STOMP-HEARTBEAT-009", f"this machine was too busy: it beat after {longest:.2f} s")
        return
    _judge_kept(bench, "STOMP-HEARTBEAT-009", agreed.client, f"beats every {1.1 * interval:.2f} s ({agreed})")


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
