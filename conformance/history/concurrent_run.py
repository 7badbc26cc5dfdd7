"""Concurrent run of many clients against one server, each in a thread, recorded as a history for `judge_history`.

The plan bounds the number of operations, `seconds` the time.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from conformance.history.client_runner import AckWatch, ClientRunner, EventRecorder, GroupClocks, ServerAccess
from conformance.history.events import NEVER, AckSubscription, Fence, History, ProducerAck
from conformance.history.fault_injection import FaultInjector, FaultPlan, healed
from conformance.history.operations import ClientProgram
from conformance.history.server_parameters import ServerParameters
from conformance.history.workload.consumers import ConsumerClient
from conformance.history.workload.programs import clock, drain, producer
from conformance.history.workload.workload_state import WorkloadPlan, WorkloadState

#: The two spellings of a destination of producer acknowledgements, with the clause for each.
ACK_DESTINATIONS = {"acknowledgment": "PUB-ACK-1", "acknowledgement": "PUB-ACK-2"}
#: Longest time of a final reader after faults, in seconds, besides the timings of the server and the time it was away.
DRAIN_SECONDS = 5.0
#: Seconds in which consumers read after the last fault; what is left is for the final readers.
TAIL_SECONDS = 4.0
#: Longest wait for the end of a command of a fault when a run ends, in seconds: more than a command may take.
STOP_SECONDS = 65.0


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
    faults: FaultPlan | None = None,
) -> History:
    """Run all client programs on topics and groups that exist; returns the history.

    The consumers read for at most `seconds`, and the final readers for as long again. Raises Violation if a reply
    is malformed, Unreachable if the server is, and TimeoutError if a program runs for three times as long.

    With `faults`, `seconds` bounds these, and the final readers have as long as the server may need for evictions and
    rebalances. Raises what the calls of `faults` raise. All faults are over and healed when it returns or raises.
    """
    recorder, moved = EventRecorder(), GroupClocks(server, groups)
    failures: list[BaseException] = []
    started = time.monotonic()
    outlasts = server.outlasts
    if outlasts is not None:
        # A server that a fault has ended for good would be waited for by the other programs.
        server = replace(server, outlasts=lambda: not failures and outlasts())
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
        expired=lambda: bool(failures) or time.monotonic() > min(started + seconds, tail_end()),
        producing=plan.producers,
        consuming=plan.consumers,
        under_faults=faults is not None,
    )
    injector = FaultInjector(faults, state, recorder) if faults is not None else None

    def tail_end() -> float:
        return NEVER if injector is None else injector.ended + TAIL_SECONDS

    def play(programs: dict[str, ClientProgram], deadline: float) -> None:
        threads = ClientThreads(failures)
        for process, program in programs.items():
            runner = ClientRunner(process, server, moved, recorder)
            threads.add(process, lambda runner=runner, program=program: runner.run(program))  # type: ignore[misc]
        if injector is not None and state.under_faults:
            threads.add("faults", injector.run)
        threads.play(deadline)

    programs = {f"producer {n}": producer(state, n) for n in range(plan.producers)}
    programs |= {f"consumer {n}": ConsumerClient(state, n).program() for n in range(plan.consumers)}
    if state.virtual:
        programs["clock"] = clock(state)
    if injector is None:
        play(programs, started + 3 * seconds)
    else:
        with healed(injector.plan):
            try:
                play(programs, started + 3 * seconds)
            finally:
                injector.stop(STOP_SECONDS)
        injector.ended = NEVER
        away = max((fault.back - fault.began for fault in injector.plan.times), default=0.0)
        seconds = DRAIN_SECONDS + parameters.eviction_limit + parameters.rebalance_limit + 3 * away
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
