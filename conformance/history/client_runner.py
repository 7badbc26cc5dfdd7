"""Runners of client programs: access to the server, group clocks, and the recording of events."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.history.events import ClockAdvanced, Event, History
from conformance.history.operations import (
    Answer,
    ClientOperation,
    ClientProgram,
    OperationTimes,
    Pause,
    event_from,
)
from conformance.wire.failures import PeerFailure, Unreachable
from conformance.wire.operations import QueueClient


class GroupTime(Protocol):
    """The clocks of groups, in seconds; a virtual clock is moved by `pass_time` only."""

    is_virtual: bool

    def now(self, group: str) -> float: ...


class AckWatch(Protocol):
    """A subscription to producer acknowledgements."""

    def take(self, expected: int) -> Sequence[Any]: ...


@dataclass(frozen=True)
class ServerAccess:
    """Access of a concurrent run to the server.

    `new_client` makes a client with its own connection, and `fresh` makes new names, both in any thread. `pass_time`
    advances the virtual clock of a group, by seconds. `watch` subscribes to a destination of producer
    acknowledgements, and returns None if the server has no STOMP. `over_http` is True if records are published over
    HTTP.

    `outlasts` is None if a server that can't be reached ends the run. Else it is called after each attempt at a
    connection that failed, waits for a moment, and returns False to give the operation up; an answer of class 5xx then
    counts as none, since a node in trouble may not know the outcome.
    """

    new_client: Callable[[], QueueClient]
    fresh: Callable[[str], str]
    time: GroupTime
    pass_time: Callable[[float, str], None]
    extensions: Collection[str] = frozenset()
    watch: Callable[[str], AckWatch | None] = lambda _destination: None
    over_http: bool = False
    outlasts: Callable[[], bool] | None = None


class EventRecorder:
    """The events so far; safe for use by several threads."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        """Add an event."""
        with self._lock:
            self._events.append(event)

    @property
    def history(self) -> History:
        """All events so far."""
        with self._lock:
            return tuple(self._events)


class GroupClocks:
    """Bounds on the clock of each group, in seconds; they differ while the clock is being advanced."""

    def __init__(self, server: ServerAccess, groups: list[str]) -> None:
        self._server = server
        self._groups = groups
        self._moving = threading.Lock()
        self._ahead = 0.0

    def earliest(self, group: str) -> float:
        """Lower bound on the time of the group."""
        return self._server.time.now(group)

    def latest(self, group: str) -> float:
        """Upper bound on the time of the group."""
        # `_ahead` is read first: after an advance its end is part of `now`.
        ahead = self._ahead
        return self._server.time.now(group) + ahead

    def move(self, seconds: float, group: str) -> list[ClockAdvanced]:
        """Advance the clock of a group by seconds; returns an event for each group whose clock moved."""
        with self._moving:
            before = {one: self.earliest(one) for one in self._groups}
            invoked = time.monotonic()
            self._ahead = seconds
            self._server.pass_time(seconds, group)
            completed = time.monotonic()
            after = {one: self.earliest(one) for one in self._groups}
            self._ahead = 0.0
        return [
            ClockAdvanced(
                process="clock",
                invoked=invoked,
                completed=completed,
                group_time_began=before[one],
                group_time_ended=after[one],
                status=200,
                group=one,
            )
            for one in self._groups
            if after[one] > before[one]
        ]


class ClientRunner:
    """Runner of one program, on a client with its own connection, and a new one after each cut."""

    def __init__(
        self, process: str, server: ServerAccess, clock: GroupClocks, recorder: EventRecorder
    ) -> None:
        self._process = process
        self._server = server
        self._clock = clock
        self._recorder = recorder
        self._client: QueueClient | None = None

    def run(self, program: ClientProgram) -> None:
        """Run the program to its end. Raises the exceptions of the client, except for broken connections."""
        answer: Answer | None = None
        started = False
        try:
            while True:
                step = program.send(answer) if started else next(program)
                started, answer = True, None
                if isinstance(step, ClientOperation):
                    answer = self._perform(step)
                elif isinstance(step, Pause):
                    threading.Event().wait(step.seconds)
                else:
                    for passed in self._clock.move(step.seconds, step.group):
                        self._recorder.add(passed)
        except StopIteration:
            pass
        finally:
            self._close()

    def _perform(self, operation: ClientOperation) -> Answer | None:
        if self._server.outlasts is None:
            return self._perform_once(operation)
        while True:
            try:
                return self._perform_once(operation)
            except (Unreachable, PeerFailure):  # no connection: the operation was not sent, and is no event
                self._close()
            if not self._server.outlasts():
                return None

    def _perform_once(self, operation: ClientOperation) -> Answer | None:
        if self._client is None:
            self._client = self._server.new_client()
        group_time_began, invoked = self._clock.earliest(operation.group), time.monotonic()
        answer: Answer | None = None
        try:
            pending = self._client.start(operation.path, operation.body) if operation.cut else None
            if pending is None:
                answer = self._client.call(operation.path, operation.body)
        except PeerFailure:
            answer = None
        if self._server.outlasts is not None and answer is not None and not _is_known(answer.status):
            answer = None
        completed = time.monotonic()
        group_time_ended = self._clock.latest(operation.group)
        times = OperationTimes(invoked, group_time_began, completed, group_time_ended)
        self._recorder.add(event_from(operation, self._process, times, answer))
        if answer is None:
            self._close()
        return answer

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _is_known(status: int) -> bool:
    """True for a status that tells the outcome: not of class 5xx, except for 507."""
    return status < 500 or status == 507
