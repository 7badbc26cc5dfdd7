"""The time of a consumer group, as tests see it: virtual where the server lets it be moved, else real.

A virtual clock of the server is moved by POST /clock/advance (extension virtual-clock), for one group alone where
the server can do that (virtual-clock-per-group), so that tests side by side don't evict each other's consumers.
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
    """The run ends before the time has passed; what would have happened then is not known."""


class QueueClock(Protocol):
    """The time of groups; may be used by several threads."""

    is_virtual: bool

    def now(self, group: str) -> float:
        """The time of a group, in seconds since anything."""
        ...

    def pass_time(self, seconds: float, groups: Iterable[str], post: Post) -> None:
        """Let time pass for these groups at least; `post` sends a body to a path of the server.

        Raises Violation where the server won't move its clock, Interrupted.
        """
        ...


def clock_of(target: Target, interrupted: threading.Event) -> QueueClock:
    """The clock that this server gives us; real time ends early when `interrupted` is set."""
    if "virtual-clock" not in target.extensions:
        return RealClock(interrupted)
    return GroupClock() if "virtual-clock-per-group" in target.extensions else ServerClock()


class RealClock:
    """The time of the wall."""

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
    """A virtual clock for each group."""

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
    """One virtual clock for all groups."""

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
