"""Time of a consumer group as tests use it: virtual if the server has a virtual clock, otherwise real.

POST /clock/advance moves a virtual clock (extension virtual-clock). On servers with virtual-clock-per-group it moves
the clock of one group only, so that concurrent tests don't evict each other's consumers.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.targets.target import Target
    from conformance.wire.http import HttpReply

    Post = Callable[[str, bytes], HttpReply]

ADVANCE = "/clock/advance"


class Interrupted(Exception):
    """The run ended before the requested time had passed."""


class QueueClock(Protocol):
    """Clock of the consumer groups. Thread-safe."""

    is_virtual: bool

    def now(self, group: str) -> float:
        """Time of a group in seconds, from an arbitrary origin."""
        ...

    def pass_time(self, seconds: float, groups: Iterable[str], post: Post) -> None:
        """Let `seconds` pass for at least these groups; `post` sends a body to a path of the server.

        Raises Violation if the server refuses to move its clock (CLOCK-1, CLOCK-3), Interrupted if the run ends first.
        """
        ...


def clock_of(target: Target, interrupted: threading.Event) -> QueueClock:
    """Clock that fits the target's extensions; setting `interrupted` cuts waits in real time short."""
    if "virtual-clock" not in target.extensions:
        return RealClock(interrupted)
    return GroupClock() if "virtual-clock-per-group" in target.extensions else ServerClock()


class RealClock:
    """Real time, for servers without a virtual clock."""

    is_virtual = False

    def __init__(self, interrupted: threading.Event) -> None:
        self._interrupted = interrupted

    def now(self, group: str) -> float:
        del group
        return time.monotonic()

    def pass_time(self, seconds: float, groups: Iterable[str], post: Post) -> None:
        del groups, post
        if self._interrupted.wait(seconds):
            raise Interrupted("the run was ended while time had to pass")


class GroupClock:
    """One virtual clock per group (virtual-clock-per-group)."""

    is_virtual = True

    def __init__(self) -> None:
        self._passed: defaultdict[str, float] = defaultdict(float)

    def now(self, group: str) -> float:
        return self._passed[group]

    def pass_time(self, seconds: float, groups: Iterable[str], post: Post) -> None:
        for group in groups:
            _advance(post, {"consumer_group_name": group, "seconds": seconds}, "CLOCK-3")
            self._passed[group] += seconds


class ServerClock:
    """One virtual clock shared by all groups (virtual-clock)."""

    is_virtual = True

    def __init__(self) -> None:
        self._passed = 0.0
        self._lock = threading.Lock()

    def now(self, group: str) -> float:
        del group
        return self._passed

    def pass_time(self, seconds: float, groups: Iterable[str], post: Post) -> None:
        del groups
        with self._lock:
            _advance(post, {"seconds": seconds}, "CLOCK-1")
            self._passed += seconds


def _advance(post: Post, body: dict[str, object], clause: str) -> None:
    reply = post(ADVANCE, json.dumps(body).encode())
    if reply.status != 200:
        raise Violation(clause, f"200 for {body}", reply)
