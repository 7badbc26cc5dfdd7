"""Sessions with heart-beats, and the beats on them.

All waits are in wall time. Judged is the interval that both sides agreed on, not the one that the client asked for.
"""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.stomp import StompClient

#: Seconds for which a connection is watched; longer if the intervals ask for more.
WATCH = 3.5
#: Longest interval in seconds that is watched; a server that offers no shorter one is not judged.
LONGEST = 5.0
NUMBERS = re.compile(r"([0-9]+),([0-9]+)")


@dataclass(frozen=True)
class HeartBeatSession:
    """A session and its heart-beat intervals in seconds; 0 for no beats."""

    client: StompClient
    server_interval: float
    client_interval: float
    header: str | None
    """The `heart-beat` of CONNECTED; None without one."""

    def __str__(self) -> str:
        return f"CONNECTED with heart-beat:{self.header}"


def negotiate(fixture: StompFixture, sends: int, wants: int) -> HeartBeatSession:
    """Open a session with `heart-beat:{sends},{wants}` (milliseconds); judges STOMP-HEARTBEAT-001."""
    client = fixture.bench.stomp(connect=False)
    header = fixture.connect(client, heart_beat=f"{sends},{wants}").get("heart-beat")
    numbers = NUMBERS.fullmatch(header if header is not None else "0,0")
    if header is not None:
        fixture.judge(
            "STOMP-HEARTBEAT-001",
            numbers is not None,
            expected="two decimal numbers joined by a comma",
            observed=f"heart-beat:{header}",
        )
    offers, asks = (int(number) for number in numbers.groups()) if numbers else (0, 0)
    return HeartBeatSession(
        client,
        max(offers, wants) / 1000 if offers and wants else 0.0,
        max(sends, asks) / 1000 if sends and asks else 0.0,
        header,
    )


def longest_gap(client: StompClient, since: float) -> float:
    """The longest time in seconds without octets of the server, from `since` (monotonic seconds) to now."""
    times = [since, *(arrival.at for arrival in client.arrivals if arrival.at > since), time.monotonic()]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def act_periodically(
    client: StompClient, seconds: float, interval: float, act: Callable[[], object]
) -> float:
    """Call `act` every `interval` seconds for so many seconds, reading meanwhile.

    Returns the longest time in seconds between two calls.
    """
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


def expect_open(bench: Bench, clause: str, client: StompClient, what: str) -> None:
    """Judge that the connection is open and got no ERROR after `what`."""
    bench.judge(
        clause,
        client.closed is None and not client.errors,
        expected=f"the connection open after {what}",
        observed=client.closed or (f"{client.errors[0].octets!r}" if client.errors else "open"),
    )
