"""Names of transactions and subscriptions that a server may take for one: prefixes, case, colons, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import BLANKS, SIMILAR
from conformance.suite.stomp.channel import Channel
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.stomp.transaction_steps import send_in_transaction
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

TRIMMED = "values of headers are trimmed"
PAIRS = pytest.mark.parametrize("pair", [*SIMILAR, *BLANKS], ids=" and ".join)


def _is_one_name(fixture: StompFixture, pair: tuple[str, str]) -> bool:
    """True if the two differ by a blank that the server trims: 1.0 lets it, and later it breaks STOMP-ENC-008."""
    if pair not in BLANKS or fixture.bench.version == "1.0":
        return pair in BLANKS
    reader, sender = fixture.client(), fixture.client()
    subscription = fixture.active_subscription(reader, fixture.topic())
    fixture.send(sender, subscription.destination, "m", [("note", " a ")])
    message = fixture.expect_message(subscription, "STOMP-SEND-002", lambda frame: frame.body == b"m")
    return message.get("note") != " a "


@clauses("STOMP-TX-012")
@PAIRS
def test_transactions_with_similar_names(bench: Bench, pair: tuple[str, str]) -> None:
    """Open two transactions with similar names, commit one and abort the other; expect the MESSAGE of the first."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        bench.skip("STOMP-TX-012", "the server has no transactions")
        return
    if _is_one_name(fixture, pair):
        bench.skip("STOMP-TX-012", TRIMMED)
        return
    for committed, aborted in (pair, pair[::-1]):
        channel = Channel(fixture)  # names need not be accepted again (STOMP-TX-011)
        sender = channel.sender
        stem = "" if all(pair) else "t"  # a server may refuse a transaction without a name
        names = {"committed": f"{stem}{committed}", "aborted": f"{stem}{aborted}"}
        try:
            for body, name in names.items():
                sender.begin(name)
                send_in_transaction(fixture, sender, name, channel.destination, body)
            sender.abort(names["aborted"])
            sender.commit(names["committed"])
            fixture.fence(sender)
        except PeerFailure as failure:
            bench.judge(
                "STOMP-TX-012", False, expected=f"two transactions, {names}", observed=failure.observed
            )
            raise
        came = [fixture.expect_message(channel.subscription, "STOMP-TX-012").body]
        came += [frame.body for frame in fixture.messages_before_marker(channel.subscription)]
        bench.judge(
            "STOMP-TX-012",
            came == [b"committed"],
            expected=f"the message of the transaction that was committed, of {names}",
            observed=came or "none",
        )


def _is_no_fence(frame: Frame) -> bool:
    """False for a message by which a server without receipts shows that it is past a frame; one may come late."""
    return frame.body in (b"kept", b"removed")


@clauses("STOMP-UNSUB-001", "STOMP-SUB-001")
@PAIRS
def test_subscriptions_with_similar_ids(bench: Bench, pair: tuple[str, str]) -> None:
    """Subscribe with two similar ids, and unsubscribe one; expect the messages of the other only."""
    fixture = StompFixture(bench)
    if _is_one_name(fixture, pair):
        for clause in ("STOMP-UNSUB-001", "STOMP-SUB-001"):
            bench.skip(clause, TRIMMED)
        return
    sender = fixture.client()
    stem = "s" if bench.version == "1.0" else ""  # where an id may be left out, an empty one may be none
    for kept, removed in (pair, pair[::-1]):
        reader = fixture.client()  # ids need not be accepted again (STOMP-UNSUB-004)
        ids = [f"{stem}{kept}", f"{stem}{removed}"]
        topics = [fixture.topic(), fixture.topic()]
        rounds: list[list[bytes]] = []
        try:
            for identifier, topic in zip(ids, topics, strict=True):
                reader.subscribe(topic.name, topic.headers, id=identifier)
            for unsubscribed in (ids[1], ids[0]):
                fixture.fence(reader)
                for body, topic in zip((b"kept", b"removed"), topics, strict=True):
                    fixture.send(sender, topic, body)
                came = [reader.expect("MESSAGE", _is_no_fence).body for _ in ids[len(rounds) :]]
                fixture.fence(sender)
                fixture.fence(reader)
                rounds.append(
                    sorted([*came, *(frame.body for frame in filter(_is_no_fence, reader.take("MESSAGE")))])
                )
                reader.unsubscribe(unsubscribed, topics[0].headers)
        except PeerFailure as failure:
            # An UNSUBSCRIBE that is refused says nothing about the subscriptions before it.
            for clause in ("STOMP-SUB-001", "STOMP-UNSUB-001")[bool(rounds) :]:
                fixture.judge(clause, False, expected=f"two subscriptions, {ids}", observed=failure.observed)
            raise
        for clause, wanted, found in zip(
            ("STOMP-SUB-001", "STOMP-UNSUB-001"), ([b"kept", b"removed"], [b"kept"]), rounds, strict=True
        ):
            bench.judge(
                clause,
                found == wanted,
                expected=f"{wanted} for the subscriptions {ids}",
                observed=found,
            )
