"""Stateful models of the queue against the server: operations in any order, judged by what the text allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses, main_thread_only
from conformance.bench.model_adapter import BenchQueueAdapter
from conformance.models.delivery_machine import DeliveryMachine
from conformance.models.machines import run
from conformance.models.membership_machine import MembershipMachine
from conformance.models.publishing_machine import PublishingMachine
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.models.machines import ModelMachine

#: Largest number of operations in one example, by effort.
STEPS = (20, 30, 30)
#: Seconds for finding a shorter program that shows a failure, by effort.
SHRINK_SECONDS = (2, 10, 60)


def _run(bench: Bench, machine: type[ModelMachine], quick: int, standard: int, thorough: int) -> None:
    """Run a machine for as many examples as the effort asks for; a failure has its shortest program as its steps."""
    settings = bench.hypothesis(
        bench.examples(quick, standard, thorough), stateful_step_count=bench.examples(*STEPS)
    )
    program: list[str] = []
    name = f"{machine.__name__} over {bench.binding}"
    try:
        run(
            machine,
            BenchQueueAdapter(bench),
            settings,
            name=name,
            note=program.append,
            shrink_seconds=bench.examples(*SHRINK_SECONDS),
            is_known=bench.is_known,
            has_run_ended=bench.has_run_ended,
            begin=bench.forget,
        )
    except (Violation, PeerFailure) as failure:
        failure.evidence = (failure.evidence or bench.evidence())._replace(steps=tuple(program))
        raise


@clauses(
    "ORDER-1",
    "ORDER-2",
    "PART-KEY-1",
    "PART-RR-1",
    "PUB-STORE-1",
    "PUB-KEY-1",
    "PUB-TEXT-1",
    "PUB-POSITION-1",
    "PUB-TOPIC-1",
    "PUB-TOPIC-2",
    "PUB-BODY-1",
    "PUB-ACK-1",
    "PUB-ACK-2",
    "PUB-ACK-3",
    "PUB-ACK-4",
    "PUB-ACK-5",
    "PUB-ACK-6",
    "PUB-ACK-7",
    "PUB-ACK-8",
    "POLL-START-1",
    "DELIVER-1",
    "DELIVER-4",
    "TOPIC-ADD-2",
    "TOPIC-ADD-3",
)
@main_thread_only
def test_publishing_in_any_order(bench: Bench) -> None:
    """Send publishing operations in any order; expect each partition in order, each key in one partition, and an
    acknowledgement for each record.
    """
    _run(bench, PublishingMachine, 2, 14, 250)


@clauses(
    "POLL-OK-1",
    "POLL-OK-2",
    "POLL-EMPTY-1",
    "POLL-EMPTY-2",
    "POLL-FAIR-1",
    "POLL-NONE-1",
    "POLL-REDELIVERED-1",
    "POLL-BATCH-1",
    "POLL-UNKNOWN-1",
    "POLL-UNKNOWN-2",
    "ACK-OK-1",
    "ACK-COMMIT-1",
    "ACK-COMMIT-2",
    "ACK-UNKNOWN-1",
    "ACK-UNKNOWN-2",
    "ACK-OTHER-1",
    "ACK-CONSUMER-1",
    "ACK-CONSUMER-2",
    "NACK-OK-1",
    "NACK-AGAIN-1",
    "NACK-UNKNOWN-1",
    "NACK-UNKNOWN-2",
    "ORDER-1",
    "ORDER-2",
    "DELIVER-1",
    "DELIVER-2",
    "DELIVER-3",
    "DELIVER-4",
    "ISOLATE-1",
    "GROUP-ADD-2",
    "MEMBER-UNSUBSCRIBE-4",
    "TOPIC-REMOVE-1",
    "TOPIC-REMOVE-3",
    "TOPIC-REMOVE-4",
    "TOPIC-REMOVE-5",
    "TOPIC-REMOVE-7",
    "TOPIC-REMOVE-8",
    "TOPIC-REMOVE-10",
    "TOPIC-REMOVE-11",
)
@main_thread_only
def test_polling_and_acknowledging_in_any_order(bench: Bench) -> None:
    """Send polls and acknowledgements in any order; expect acknowledged records to stay so, others to come again, and
    at most one record of a partition in flight.
    """
    _run(bench, DeliveryMachine, 3, 28, 350)


@clauses(
    "ASSIGN-1",
    "ASSIGN-2",
    "ASSIGN-3",
    "REBALANCE-1",
    "REBALANCE-2",
    "REBALANCE-5",
    "LIVE-KEEP-1",
    "LIVE-EVICT-1",
    "LIVE-SIGN-1",
    "LIVE-BEAT-1",
    "LIVE-BEAT-2",
    "LIVE-BEAT-3",
    "LIVE-GONE-1",
    "LIVE-GONE-2",
    "LIVE-GONE-3",
    "LIVE-GONE-4",
    "MEMBER-REGISTER-1",
    "MEMBER-REGISTER-2",
    "MEMBER-REGISTER-3",
    "MEMBER-REGISTER-4",
    "MEMBER-REGISTER-5",
    "MEMBER-SUBSCRIBE-1",
    "MEMBER-SUBSCRIBE-2",
    "MEMBER-SUBSCRIBE-3",
    "MEMBER-SUBSCRIBE-4",
    "MEMBER-UNSUBSCRIBE-1",
    "MEMBER-UNSUBSCRIBE-2",
    "MEMBER-UNSUBSCRIBE-3",
    "MEMBER-UNSUBSCRIBE-4",
    "MEMBER-UNREGISTER-1",
    "MEMBER-UNREGISTER-2",
    "MEMBER-UNREGISTER-3",
    "GROUP-ADD-1",
    "GROUP-REMOVE-1",
    "GROUP-REMOVE-2",
    "GROUP-REMOVE-3",
    "GROUP-REMOVE-4",
    "GROUP-REMOVE-5",
    "DELIVER-2",
    "DELIVER-3",
    "ISOLATE-1",
)
@main_thread_only
def test_coming_and_going_in_any_order(bench: Bench) -> None:
    """Let members join, leave, fall silent and return, in several groups with several topics; expect the assignment and
    the evictions that the text asks for.
    """
    _run(bench, MembershipMachine, 3, 24, 350)
