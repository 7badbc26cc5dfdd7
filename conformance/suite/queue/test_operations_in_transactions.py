"""Operations of the queue in STOMP transactions: QSTOMP-TX-1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import publish_refused
from conformance.suite.queue.fixture import ADD_GROUP, ADD_TOPIC, QueueFixture
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import REPLIES

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient


def _goes_on(bench: Bench, session: StompClient) -> bool:
    """True if the session performs a later operation; False if the server has ended it."""
    receipt = bench.fresh("fence")
    session.send(ADD_GROUP, json.dumps({"consumer_group_name": bench.fresh("group")}), receipt=receipt)
    try:
        session.expect("RECEIPT", receipt_id=receipt)
    except PeerFailure:
        if not session.errors and session.closed is None:
            raise
        return False
    return True


def _exists(queue: QueueFixture, topic: str) -> bool:
    """True if another connection can publish to the topic."""
    return not publish_refused(queue.client.publish(topic, queue.bench.fresh("id"), "m"))


@clauses("QSTOMP-TX-1")
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
@pytest.mark.parametrize("subscribed", [True, False], ids=["with replies", "without replies"])
def test_an_operation_in_a_transaction_waits_for_its_commit(bench: Bench, end: str, subscribed: bool) -> None:
    """Add a topic by a SEND in a transaction, without a receipt; expect an ERROR and the end of the connection, or no
    topic before the COMMIT and one after it. After an ABORT expect none.
    """
    if not bench.target.fact("transactions"):
        bench.skip("QSTOMP-TX-1", "the server has no transactions")
        return
    queue, topic, name = QueueFixture(bench), bench.fresh("topic"), bench.fresh("transaction")
    session = bench.stomp()
    if subscribed:
        session.subscribe(REPLIES)
    session.begin(name)
    session.send(ADD_TOPIC, json.dumps({"topicName": topic}), transaction=name)
    is_taken = _goes_on(bench, session)
    bench.judge(
        "QSTOMP-TX-1",
        not _exists(queue, topic),
        expected="no topic: the operation is refused, or waits for the COMMIT",
        observed=f"a topic {topic}, {'before the COMMIT' if is_taken else 'though the frame was refused'}",
    )
    if not is_taken:
        bench.judge(
            "QSTOMP-TX-1",
            bool(session.errors),
            expected="an ERROR before the end of the connection",
            observed=session.closed,
        )
        return
    receipt = bench.fresh("end")
    session.frame(end, [("transaction", name), ("receipt", receipt)])
    session.expect("RECEIPT", receipt_id=receipt)
    wanted = end == "COMMIT"
    bench.judge(
        "QSTOMP-TX-1",
        _exists(queue, topic) is wanted,
        expected=f"{'the' if wanted else 'no'} topic after the {end}",
        observed=f"{'no' if wanted else 'a'} topic",
    )
