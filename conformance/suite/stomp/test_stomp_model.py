"""The stateful model of plain STOMP against the server: operations in any order, judged by what the text allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from conformance.bench.marks import clauses, main_thread_only
from conformance.models.machines import run
from conformance.models.stomp.machine import StompMachine
from conformance.suite.stomp.channel import NO_QUEUES
from conformance.suite.stomp.model_adapter import BenchBrokerAdapter
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Largest number of operations in an example.
STEPS = 30
#: Seconds to search for a shorter program that shows a failure, by effort.
SHRINK_SECONDS = (2, 10, 60)
JUDGED = (
    "STOMP-SUB-001",
    "STOMP-SEND-002",
    "STOMP-SEND-005",
    "STOMP-SEND-006",
    "STOMP-SEND-007",
    "STOMP-MESSAGE-001",
    "STOMP-MESSAGE-002",
    "STOMP-MESSAGE-003",
    "STOMP-MESSAGE-004",
    "STOMP-MESSAGE-008",
    "STOMP-SUB-005",
    "STOMP-SUB-006",
    "STOMP-SUB-007",
    "STOMP-SUB-008",
    "STOMP-SUB-010",
    "STOMP-SUB-011",
    "STOMP-SUB-012",
    "STOMP-SUB-014",
    "STOMP-SUB-017",
    "STOMP-UNSUB-001",
    "STOMP-ACK-001",
    "STOMP-ACK-002",
    "STOMP-ACK-004",
    "STOMP-ACK-006",
    "STOMP-ACK-010",
    "STOMP-NACK-001",
    "STOMP-NACK-002",
    "STOMP-TX-001",
    "STOMP-TX-003",
    "STOMP-TX-004",
    "STOMP-TX-005",
    "STOMP-TX-006",
    "STOMP-TX-007",
    "STOMP-TX-008",
    "STOMP-TX-010",
    "STOMP-TX-012",
    "STOMP-TX-014",
    "STOMP-TX-015",
    "STOMP-RECEIPT-001",
    "STOMP-RECEIPT-003",
    "STOMP-RECEIPT-008",
    "STOMP-ERROR-001",
    "STOMP-ERROR-002",
)


@clauses(*JUDGED)
@main_thread_only
def test_sessions_over_queues_and_topics_in_any_order(bench: Bench) -> None:
    """Send any frames on several sessions, in any order; expect only deliveries and refusals that the model allows."""
    fixture = StompFixture(bench)
    target = bench.target
    for fact, reason in (
        ("queues", NO_QUEUES),
        ("receipts", "the model reads the fate of a frame from RECEIPTs"),
        ("transactions", "the model fences by a transaction without content"),
    ):
        if not target.fact(fact):
            for clause in JUDGED:
                fixture.skip(clause, reason)
            return
    program: list[str] = []
    adapter = BenchBrokerAdapter(fixture)

    def begin() -> None:
        bench.forget()
        adapter.begin_example()

    try:
        run(
            StompMachine,
            cast("Any", adapter),
            bench.hypothesis(bench.examples(4, 36, 600), stateful_step_count=STEPS),
            name=f"StompMachine over {bench.binding}",
            note=program.append,
            shrink_seconds=bench.examples(*SHRINK_SECONDS),
            is_known=bench.is_known,
            has_run_ended=bench.has_run_ended,
            begin=begin,
        )
    except (Violation, PeerFailure) as failure:
        failure.evidence = (failure.evidence or bench.evidence())._replace(steps=tuple(program))
        raise
