"""Concurrent producers and consumers while nodes are killed, stopped and cut off by commands of the user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses, during_faults
from conformance.bench.model_adapter import SLACK
from conformance.history.checkers import judge_history
from conformance.history.client_runner import ServerAccess
from conformance.history.concurrent_run import run_concurrently
from conformance.history.events import Acknowledge, ConsumerEvent, Publish
from conformance.history.fault_injection import FaultPlan, NotBack
from conformance.history.files import lines_of
from conformance.history.server_parameters import ServerParameters
from conformance.history.system_facts import facts_of
from conformance.history.workload.workload_state import WorkloadPlan
from conformance.run.faults import HISTORY_CLAUSES, FaultRecord, InjectedFault
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.presence import every_node_answers
from conformance.targets.commands import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.history.events import History
    from conformance.targets.commands import Command

#: Longest time of the faults, in seconds of real time.
SECONDS = 900.0
#: Pause before another attempt at a connection, in seconds.
PAUSE = 0.1
#: Mean time between two records of a producer, in seconds.
PACE = 0.12
#: Largest number of records that a poll asks for, if the limit of the server allows it.
BATCH = 4
#: Longest time between a fault and its heal, in seconds.
LONGEST_FAULT = 10.0


@during_faults
@clauses(*HISTORY_CLAUSES)
def test_many_clients_while_nodes_fail(bench: Bench) -> None:
    """Inject faults while producers and consumers run; expect a history that a conforming server can have produced.

    An operation without an answer, or with one of class 5xx, has an unknown outcome.
    """
    if bench.clock.is_virtual:
        for clause in HISTORY_CLAUSES:
            bench.skip(clause, "faults take real time: start the server without a virtual clock")
        return
    queue = QueueFixture(bench)
    topics, groups = [queue.new_topic(), queue.new_topic()], [queue.new_group(), queue.new_group()]
    probe = queue.new_topic()
    timings, partitions = bench.target.timings, bench.target.partitions
    parameters = ServerParameters(
        heartbeat_timeout=timings.heartbeat_timeout,
        eviction_grace=timings.eviction_grace,
        rebalance_timeout=timings.rebalance_timeout,
        slack=SLACK + bench.scheduling_delay(),
        partitions=dict.fromkeys(topics, partitions) if partitions is not None else {},
        positions=bench.declares("record-position"),
        frees=bench.declares("retention"),
    )
    bench.outlast_outages()
    server = ServerAccess(
        new_client=bench.queue,
        fresh=bench.fresh,
        time=bench.clock,
        pass_time=lambda seconds, group: bench.pass_time(seconds, [group]),
        extensions=bench.target.extensions,
        outlasts=lambda: not bench.wait(PAUSE),
    )
    short = parameters.eviction_limit <= LONGEST_FAULT
    plan = WorkloadPlan(
        seed=bench.seed,
        records=bench.examples(40, 120, 240),
        silence=short,
        waits=short,
        batch=int(min(bench.limit("poll_messages") or BATCH, BATCH)),
        pace=PACE,
    )
    faults = FaultPlan(
        faults={fault.name: _call(bench, fault) for fault in bench.faults},
        heal=bench.heal.run if bench.heal is not None else None,
        is_back=lambda: every_node_answers(bench, probe),
        rounds=bench.examples(1, 2, 5),
        long=min(LONGEST_FAULT, 1.5 * parameters.eviction_limit),
        seed=bench.seed,
    )
    try:
        history = run_concurrently(server, plan, parameters, topics, groups, SECONDS, faults)
    except (CommandFailed, NotBack) as error:
        bench.end_run(str(error))
    _judge(bench, history, faults, parameters)


def _judge(bench: Bench, history: History, faults: FaultPlan, parameters: ServerParameters) -> None:
    """Judge the history; the server has more time by the longest time that it was away."""
    away = max((fault.back - fault.began for fault in faults.times), default=0.0)
    parameters = replace(parameters, slack=SLACK + bench.scheduling_delay() + away)
    bench.keep_history(lines_of(facts_of(parameters, title="many clients while nodes fail"), history))
    operations = [event for event in history if isinstance(event, ConsumerEvent | Publish)]
    bench.note_faults(
        FaultRecord(
            test=bench.test,
            binding=bench.binding,
            faults=tuple(
                InjectedFault(
                    fault.name,
                    bench.since_start(fault.began),
                    bench.since_start(fault.back),
                    fault.in_flight,
                )
                for fault in faults.times
            ),
            operations=len(operations),
            unknown=sum(event.status is None for event in operations),
        )
    )
    for anomaly in judge_history(history, parameters):
        bench.judge(anomaly.clause, False, expected=f"no anomaly: {anomaly.name}", observed=anomaly)
    last = max((fault.back for fault in faults.times), default=0.0)
    served = sum(
        isinstance(event, Acknowledge) and event.succeeded and event.invoked > last for event in history
    )
    for clause in HISTORY_CLAUSES:
        if served:
            bench.judge(
                clause, True, expected="a history without anomalies", observed=f"{len(history)} events"
            )
        else:
            bench.skip(
                clause, "no record was acknowledged after the last fault: the history shows too little"
            )


def _call(bench: Bench, fault: Command) -> Callable[[], None]:
    return lambda: fault.run(bench.interrupted)
