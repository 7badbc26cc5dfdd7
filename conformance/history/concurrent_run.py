"""Concurrent run of many clients against one server, each in a thread, recorded as a history for `judge_history`.

The plan bounds the number of operations, `seconds` the time.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from conformance.history.events import AckSubscription, ClockAdvanced, Event, Fence, History, ProducerAck
from conformance.history.operations import (
    Answer,
    ClientOperation,
    ClientProgram,
    OperationTimes,
    Pause,
    event_from,
)
from conformance.history.server_parameters import ServerParameters
from conformance.history.workload.consumers import ConsumerClient
from conformance.history.workload.programs import clock, drain, producer
from conformance.history.workload.workload_state import WorkloadPlan, WorkloadState
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import QueueClient

#: The two spellings of a destination of producer acknowledgements, with the clause for each.
ACK_DESTINATIONS = {"acknowledgment": "PUB-ACK-1", "acknowledgement": "PUB-ACK-2"}


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
    """

    new_client: Callable[[], QueueClient]
    fresh: Callable[[str], str]
    time: GroupTime
    pass_time: Callable[[float, str], None]
    extensions: Collection[str] = frozenset()
    watch: Callable[[str], AckWatch | None] = lambda _destination: None
    over_http: bool = False


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


@dataclass
class ClientThreads:
    """The threads of a run, and the exceptions raised in them."""

    failures: list[BaseException]
    threads: list[threading.Thread] = field(default_factory=list)

    def add(self, name: str, run: Callable[[], None]) -> None:
        """Add a thread that calls `run`."""

        def guarded() -> None:
            try:
                run()
            except BaseException as failure:  # noqa: BLE001 - raised again in the thread of the test
                self.failures.append(failure)

        self.threads.append(threading.Thread(target=guarded, name=name, daemon=True))

    def play(self, deadline: float) -> None:
        """Run all threads to their end.

        Raises the first exception of a thread, or TimeoutError if a thread runs after `deadline`, in seconds of
        time.monotonic().
        """
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        if self.failures:
            raise self.failures[0]
        if any(thread.is_alive() for thread in self.threads):
            raise TimeoutError("the concurrent run did not come to an end")


def run_concurrently(
    server: ServerAccess,
    plan: WorkloadPlan,
    parameters: ServerParameters,
    topics: list[str],
    groups: list[str],
    seconds: float,
) -> History:
    """Run all client programs on topics and groups that exist; returns the history.

    The consumers read for at most `seconds`, and the final readers for as long again. Raises Violation if a reply
    is malformed, Unreachable if the server is, and TimeoutError if a program runs for three times as long.
    """
    recorder, moved = EventRecorder(), GroupClocks(server, groups)
    failures: list[BaseException] = []
    started = time.monotonic()
    watches = _subscribe_to_acks(server, recorder, topics)
    state = WorkloadState(
        plan=plan,
        parameters=parameters,
        extensions=server.extensions,
        fresh=server.fresh,
        topics=topics,
        groups=groups,
        virtual=server.time.is_virtual,
        now=server.time.now,
        # After a failure there is no history to judge, so the other programs stop.
        expired=lambda: bool(failures) or time.monotonic() > started + seconds,
        producing=plan.producers,
        consuming=plan.consumers,
    )

    def play(programs: dict[str, ClientProgram], deadline: float) -> None:
        threads = ClientThreads(failures)
        for process, program in programs.items():
            runner = ClientRunner(process, server, moved, recorder)
            threads.add(process, lambda runner=runner, program=program: runner.run(program))  # type: ignore[misc]
        threads.play(deadline)

    programs = {f"producer {n}": producer(state, n) for n in range(plan.producers)}
    programs |= {f"consumer {n}": ConsumerClient(state, n).program() for n in range(plan.consumers)}
    if state.virtual:
        programs["clock"] = clock(state)
    play(programs, started + 3 * seconds)
    started = time.monotonic()
    for group in groups:
        play({f"drain {group}": drain(state, group)}, started + 3 * seconds)
    _collect_acks(recorder, watches)
    return recorder.history


def _subscribe_to_acks(
    server: ServerAccess, recorder: EventRecorder, topics: list[str]
) -> dict[str, AckWatch]:
    watches: dict[str, AckWatch] = {}
    for topic in topics:
        for spelling, clause in ACK_DESTINATIONS.items():
            destination = f"/topic/{spelling}/{topic}"
            invoked = time.monotonic()
            watch = server.watch(destination)
            if watch is not None:
                watches[destination] = watch
                recorder.add(
                    AckSubscription(
                        process="listener",
                        invoked=invoked,
                        completed=time.monotonic(),
                        status=200,
                        subscription=destination,
                        topic=topic,
                        clause="PUB-ACK-8" if server.over_http else clause,
                    )
                )
    return watches


def _collect_acks(recorder: EventRecorder, watches: dict[str, AckWatch]) -> None:
    """Record the acknowledgements that have arrived, then a fence: none is still on its way."""
    for listener, watch in watches.items():
        invoked = time.monotonic()
        bodies = list(watch.take(0))
        completed = time.monotonic()
        for body in bodies:
            reply = body if isinstance(body, dict) else {}
            label = reply.get("messageId")
            recorder.add(
                ProducerAck(
                    process="listener",
                    invoked=invoked,
                    completed=completed,
                    status=200,
                    subscription=listener,
                    label=label if isinstance(label, str | int) else None,
                    outcome=str(reply.get("acknowledgementMessage")),
                )
            )
        recorder.add(
            Fence(
                process="listener", invoked=completed, completed=completed, status=200, subscription=listener
            )
        )
