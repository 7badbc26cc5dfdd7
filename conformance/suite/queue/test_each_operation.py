"""Refusals of each operation of the queue: by another method of HTTP, and where a RECEIPT was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_TOPIC,
    POLL,
    REGISTER,
    SUBSCRIBE,
    UNSUBSCRIBE,
    publish_path,
)
from conformance.suite.queue.operation_table import TABLE, PreparedQueue
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench

JSON = {"Content-Type": "application/json"}


@clauses("HTTP-METHOD-1")
def test_no_operation_is_performed_by_another_method(bench: Bench) -> None:
    """Send each operation's path and body by PUT; expect refusals (4xx), and nothing to have changed."""
    prepared = PreparedQueue(bench)
    http = bench.http()
    for operation in TABLE:
        is_there = operation.extension is None or bench.declares(operation.extension)
        if not is_there or (operation.publishes and not bench.declares("http-publish")):
            continue
        octets = json.dumps(prepared.body(operation)).encode()
        reply = http.request("PUT", prepared.path(operation), octets, JSON)
        expect_refusal(bench, reply, "HTTP-METHOD-1", "the method is PUT")
    prepared.expect_unchanged("HTTP-METHOD-1")


def _refused(prepared: PreparedQueue) -> Iterator[tuple[str, object]]:
    """Path and body of an operation for each reason of a refusal."""
    nobody, nowhere = prepared.bench.fresh("nobody"), prepared.bench.fresh("nowhere")
    held = prepared.held.message_id
    yield POLL, {"consumer_name": nobody}
    yield HEARTBEAT, {"consumer_name": 7}
    yield HEARTBEAT, ["no object"]
    yield SUBSCRIBE, {"consumer_name": prepared.idle, "topic_list": nowhere}
    yield UNSUBSCRIBE, {"consumer_name": nobody, "topic_list": prepared.topic}
    yield REGISTER, {"consumer_group_name": prepared.group, "consumer_name": prepared.idle}
    yield REGISTER, {"consumer_group_name": nowhere, "consumer_name": nobody}
    yield ADD_TOPIC, {"topicName": prepared.topic}
    yield ACKNOWLEDGE, {"consumer_name": prepared.idle, "message_id": held}
    yield ACKNOWLEDGE, {"consumer_name": nobody, "message_id": held}
    yield publish_path(nowhere), {"messageID": "1", "message": "m"}
    yield publish_path(prepared.topic), {"messageID": "1"}


@clauses("QSTOMP-RECEIPT-2")
def test_no_refusal_is_receipted(bench: Bench) -> None:
    """Send operations that are refused for one reason each, with a receipt header; expect ERROR and no RECEIPT."""
    prepared = PreparedQueue(bench)
    for path, body in _refused(prepared):
        session = bench.stomp()
        session.send(path, json.dumps(body), {"content-type": "application/json"}, receipt="refused")
        try:
            answer = session.expect("ERROR")
        except PeerFailure as silence:
            granted = session.take("RECEIPT")
            bench.judge(
                "QSTOMP-RECEIPT-2",
                False,
                expected=f"ERROR for {path} {body}",
                observed=granted or silence.observed,
            )
            raise
        granted = session.take("RECEIPT")
        bench.judge(
            "QSTOMP-RECEIPT-2",
            not granted,
            expected=f"ERROR and no RECEIPT for {path} {body}",
            observed=granted or answer,
        )
        session.close()
