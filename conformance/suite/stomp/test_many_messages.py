"""Thousands of messages, RECEIPTs and ACKs in bursts, for faults that show once in several hundred times."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import (
    Channel,
    acknowledgement_mode,
    consume_elsewhere,
    disconnect,
    has_redelivery,
    new_destination,
)
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench

#: Messages by effort. A fault that hits one message in 500 escapes 4,000 of them once in 3,000 runs.
MESSAGES = (260, 4_000, 20_000)
#: Messages by effort to a queue in mode auto, whose deliveries differ from those of a topic by their receiver only.
CONSUMED = (130, 1_200, 10_000)
#: Messages that are sent before the first MESSAGE or RECEIPT is read.
BATCH = 50


class _ManyMessages:
    """Bursts of messages from one session to a subscription of another, and the MESSAGE frames that came."""

    def __init__(self, fixture: StompFixture, channel: Channel) -> None:
        self._fixture, self.channel = fixture, channel
        self.came: Counter[bytes] = Counter()
        self.ids: set[str | None] = set()

    def send(self, total: int, *, receipts: bool = False, ack: bool = False) -> None:
        """Send so many messages in bursts, with a receipt header if `receipts`; judges STOMP-SEND-002 by each that
        comes, and STOMP-RECEIPT-001 by each RECEIPT. `ack`: acknowledge each MESSAGE.
        """
        for begin in range(0, total, BATCH):
            bodies = [b"%d" % number for number in range(begin, min(begin + BATCH, total))]
            values = [self._fixture.new_receipt() if receipts else None for _ in bodies]
            for body, value in zip(bodies, values, strict=True):
                self.channel.send(body, [("receipt", value)])
            self._receive(set(bodies), ack=ack)
            for value in filter(None, values):
                self._fixture.expect_receipt(self.channel.sender, value, "a SEND")

    def _receive(self, missing: set[bytes], *, ack: bool) -> None:
        while missing:
            message = self.channel.expect_message(where=None)
            missing.discard(message.body)
            self.came[message.body] += 1
            self.ids.add(message.get("message-id"))
            if ack:
                self.channel.reader.ack(message)

    def repeated(self) -> list[bytes]:
        """Bodies of the messages that came more than once, also those that nobody has waited for."""
        for message in self._fixture.messages_before_marker(self.channel.subscription):
            self.came[message.body] += 1
        return [body for body, count in self.came.items() if count > 1]


def _auto(bench: Bench) -> Sequence[tuple[str, str]]:
    return [("ack", "auto")] if bench.version != "1.0" else []


@clauses("STOMP-SEND-002", "STOMP-SUB-007", "STOMP-SUB-008", "STOMP-MESSAGE-002", "STOMP-RECEIPT-001")
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_each_of_many_messages_comes_once(bench: Bench, kind: str) -> None:
    """Send many messages to a subscription in mode auto, those to a topic with a receipt header; expect each once, all
    with different `message-id`s, and one RECEIPT for each header.
    """
    fixture = StompFixture(bench)
    channel = Channel(fixture, new_destination(fixture, kind), headers=_auto(bench))
    many = _ManyMessages(fixture, channel)
    total = bench.examples(*(MESSAGES if kind == "topic" else CONSUMED))
    many.send(total, receipts=kind == "topic" and fixture.has_receipts)
    twice = many.repeated()
    bench.judge("STOMP-SEND-002", True, expected=f"{total} messages", observed=f"{len(many.came)} messages")
    # A sent message is consumed. The clause of 1.0 that says so is the one on the default mode.
    clause = "STOMP-SUB-007" if bench.version == "1.0" else "STOMP-SUB-008"
    bench.judge(clause, not twice, expected="no message a second time", observed=twice[:20] or "none")
    bench.judge(
        "STOMP-MESSAGE-002",
        bool(twice) or (None not in many.ids and len(many.ids) == len(many.came)),
        expected=f"{len(many.came)} different values of message-id",
        observed=f"{len(many.ids)}",
    )
    extra = [frame.get("receipt-id") for frame in channel.sender.take("RECEIPT")]
    bench.judge(
        "STOMP-RECEIPT-001",
        not extra,
        expected="one RECEIPT for each header",
        observed=extra[:20] or "no other",
    )


@clauses("STOMP-ACK-002", "STOMP-SEND-002")
def test_each_of_many_acks_consumes_its_message(bench: Bench) -> None:
    """Send many messages to a queue, ACK each of them by itself, and end the session; expect none at another
    consumer.
    """
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-ACK-002"):
        return
    mode = [("ack", acknowledgement_mode(bench, "client-individual"))]
    many = _ManyMessages(fixture, Channel(fixture, fixture.queue(), headers=mode))
    total = bench.examples(*MESSAGES)
    many.send(total, ack=True)
    disconnect(many.channel.reader)
    again = consume_elsewhere(fixture, many.channel.destination)
    bench.judge(
        "STOMP-ACK-002",
        not again,
        expected=f"no message again: the ACKs of {total} messages were sent before the end of the session",
        observed=again[:20],
    )
