"""Many messages and RECEIPTs in a row, for faults that show once in a thousand times."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import Channel, new_destination
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Messages that are sent before the first MESSAGE or RECEIPT is read.
BATCH = 50


@clauses("STOMP-SEND-002", "STOMP-SUB-007", "STOMP-SUB-008", "STOMP-MESSAGE-002")
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_each_of_many_messages_comes_once(bench: Bench, kind: str) -> None:
    """Send many messages to a subscription in mode auto; expect each once, and all with different `message-id`s."""
    fixture = StompFixture(bench)
    headers = [("ack", "auto")] if bench.version != "1.0" else []
    channel = Channel(fixture, new_destination(fixture, kind), headers=headers)
    came: Counter[bytes] = Counter()
    ids: set[str | None] = set()
    total = bench.examples(260, 1_200, 20_000)  # more than one octet can count
    for begin in range(0, total, BATCH):
        bodies = [b"%d" % number for number in range(begin, min(begin + BATCH, total))]
        for body in bodies:
            channel.send(body)
        missing = set(bodies)
        while missing:
            message = channel.expect_message(where=None)
            missing.discard(message.body)
            came[message.body] += 1
            ids.add(message.get("message-id"))
    for message in fixture.messages_before_marker(channel.subscription):
        came[message.body] += 1
    twice = [body for body, count in came.items() if count > 1]
    bench.judge("STOMP-SEND-002", True, expected=f"{total} messages", observed=f"{len(came)} messages")
    # A sent message is consumed. The clause of 1.0 that says so is the one on the default mode.
    clause = "STOMP-SUB-007" if bench.version == "1.0" else "STOMP-SUB-008"
    bench.judge(clause, not twice, expected="no message a second time", observed=twice or "none")
    bench.judge(
        "STOMP-MESSAGE-002",
        bool(twice) or (None not in ids and len(ids) == len(came)),
        expected=f"{len(came)} different values of message-id",
        observed=f"{len(ids)}",
    )


@clauses("STOMP-RECEIPT-001")
def test_each_of_many_receipts_comes_once(bench: Bench) -> None:
    """Send many SENDs with `receipt` in quick succession; expect one RECEIPT for each, in any order."""
    fixture = StompFixture(bench)
    client, destination = fixture.client(), fixture.topic()
    total = bench.examples(150, 1_200, 10_000)
    for begin in range(0, total, BATCH):
        values = [fixture.new_receipt() for _ in range(begin, min(begin + BATCH, total))]
        for value in values:
            fixture.send(client, destination, b"m", receipt=value)
        for value in values:
            fixture.expect_receipt(client, value, "a SEND")
    fixture.fence(client)
    extra = [frame.get("receipt-id") for frame in client.take("RECEIPT")]
    bench.judge(
        "STOMP-RECEIPT-001", not extra, expected=f"{total} RECEIPTs, each once", observed=extra or "no other"
    )
