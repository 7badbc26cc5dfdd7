"""Concurrent producers and consumers that are cut off, fall silent, join and leave. The history is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.bench.model_adapter import SLACK, BenchQueueAdapter
from conformance.history.checkers import judge_history
from conformance.history.client_runner import ServerAccess
from conformance.history.concurrent_run import run_concurrently
from conformance.history.files import lines_of
from conformance.history.server_parameters import ServerParameters
from conformance.history.system_facts import facts_of
from conformance.history.workload.workload_state import WorkloadPlan
from conformance.run.faults import HISTORY_CLAUSES
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.queue_client import MARGIN
from conformance.wire.failures import WaitTooLong

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Seconds of real time for the consumers, and as many again for the last reader.
SECONDS = 10.0
#: Round trips that the consumers have time for besides, on a distant or slow server.
ROUND_TRIPS = 100
#: Longest time to an eviction, in seconds of real time, for which the run lets consumers fall silent.
SHORT_SILENCE = 3.0
#: Largest number of records that a poll asks for, if the limit of the server allows it.
BATCH = 4

#: Clauses that a history decides besides if records have positions.
WITH_POSITIONS = ("PART-KEY-1", "PUB-POSITION-1")


@clauses(*HISTORY_CLAUSES)
def test_many_clients_at_once(bench: Bench) -> None:
    """Run many producers and consumers at once; expect a history that a conforming server can have produced."""
    queue, world = QueueFixture(bench), BenchQueueAdapter(bench)
    topics, groups = [queue.new_topic(), queue.new_topic()], [queue.new_group(), queue.new_group()]
    timings = world.timings
    partitions = bench.target.partitions
    parameters = ServerParameters(
        heartbeat_timeout=timings.heartbeat_timeout,
        eviction_grace=timings.eviction_grace,
        rebalance_timeout=timings.rebalance_timeout,
        slack=0.0 if world.time_is_virtual else SLACK + bench.scheduling_delay(),
        partitions=dict.fromkeys(topics, partitions) if partitions is not None else {},
        positions=bench.declares("record-position"),
        frees=bench.declares("retention"),
    )
    if world.time_is_virtual:
        step = timings.heartbeat_timeout / 2
        queue.check_steps(max(parameters.eviction_limit + parameters.rebalance_limit, MARGIN), step)
    short = world.time_is_virtual or parameters.eviction_limit <= SHORT_SILENCE
    server = ServerAccess(
        new_client=bench.queue,
        fresh=bench.fresh,
        time=bench.clock,
        pass_time=lambda seconds, group: bench.pass_time(seconds, [group]),
        extensions=bench.target.extensions,
        watch=world.watch,
        over_http=world.publishes_over_http,
    )
    plan = WorkloadPlan(
        seed=bench.seed,
        records=bench.examples(40, 120, 600),
        silence=short,
        waits=short,
        batch=int(min(bench.limit("poll_messages") or BATCH, BATCH)),
    )
    seconds = SECONDS + ROUND_TRIPS * bench.target.round_trip
    try:
        history = run_concurrently(server, plan, parameters, topics, groups, seconds)
    except TimeoutError:
        raise WaitTooLong(
            f"the clients of a concurrent run had not ended after {3 * seconds:.0f} s"
        ) from None
    bench.keep_history(lines_of(facts_of(parameters, title=f"{len(topics)} topics, many clients"), history))
    for anomaly in judge_history(history, parameters):
        bench.judge(anomaly.clause, False, expected=f"no anomaly: {anomaly.name}", observed=anomaly)
    for clause in (*HISTORY_CLAUSES, *(WITH_POSITIONS if parameters.positions else ())):
        bench.judge(clause, True, expected="a history without anomalies", observed=f"{len(history)} events")
