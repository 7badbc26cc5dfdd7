"""Many of whatever a session can have: frames of a transaction, subscriptions, messages in flight, transactions."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import COUNTS, many
from conformance.suite.stomp.accept_or_refuse import channel_in_mode, redelivery_works, takes_frames_in_a_row
from conformance.suite.stomp.channel import HOLDS_BACK, consume_elsewhere, is_undecidable, unsubscribe
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.stomp.transaction_steps import (
    all_delivered_bodies,
    channel_to,
    delivered_bodies,
    send_in_transaction,
)
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.channel import Channel
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

KINDS = pytest.mark.parametrize("kind", ["topic", "queue"])
#: Sessions that subscribe to one topic, by effort.
SESSIONS = (20, 40, 140)


@clauses("STOMP-TX-003")
@KINDS
def test_a_transaction_of_many_sends_is_whole(bench: Bench, kind: str) -> None:
    """Send many SENDs in one transaction, and COMMIT; expect all MESSAGEs once, or a refusal and none."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    channel = channel_to(fixture, kind)
    count, receipt = many(bench), fixture.new_receipt()
    bodies: list[bytes] = []

    def provoke() -> StompClient:
        client = fixture.client()
        bodies[:] = [bench.fresh("m").encode() for _ in range(count)]
        client.begin(transaction)
        for body in bodies:
            send_in_transaction(fixture, client, transaction, channel.destination, body)
        client.commit(transaction, receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt)
    came = (all_delivered_bodies if found.receipts else delivered_bodies)(channel, bodies)
    bench.judge(
        "STOMP-TX-003",
        sorted(came) == sorted(bodies) if came else not found.receipts,
        expected=f"each of {count} messages once; or none, and no RECEIPT for the COMMIT",
        observed=f"{len(came)} came, {len(set(came))} different ones; {found}",
    )


@clauses("STOMP-TX-003")
def test_a_transaction_of_many_acknowledgements_is_whole(bench: Bench) -> None:
    """Acknowledge many messages in one transaction, and COMMIT; expect none of them at another consumer."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    if not redelivery_works(fixture, "client-individual", "STOMP-TX-003"):
        return
    channel = channel_in_mode(fixture, "client-individual")
    messages = messages_in_flight(channel, many(bench))
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel.reader.begin(transaction)
        for message in messages:
            channel.reader.ack(message, transaction=transaction)
        channel.reader.commit(transaction, receipt=receipt)
        return channel.reader

    found = reaction(fixture, provoke, receipt)
    again = consume_elsewhere(fixture, channel.destination)
    left = {message.body for message in messages} & set(again)
    bench.judge(
        "STOMP-TX-003",
        not left or not found.is_accepted,
        expected=f"none of {len(messages)} messages again, whose ACKs were committed together",
        observed=f"{len(left)} came again; {found}",
    )


@clauses("STOMP-TX-012")
def test_many_open_transactions(bench: Bench) -> None:
    """Open many transactions on a session, commit every second one; expect the MESSAGEs of those only."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        bench.skip("STOMP-TX-012", "the server has no transactions")
        return
    for count in (many(bench), *reversed(COUNTS[:5])):
        channel = channel_to(fixture)
        if _opened(channel, names := [f"t{number}" for number in range(count)]):
            break
        bench.observe("STOMP-TX-011", f"{count} transactions at a time are refused")
    else:
        bench.skip("STOMP-TX-012", f"the server lets no {COUNTS[0]} transactions be open at a time")
        return
    client = channel.sender
    for number, name in enumerate(names):
        (client.abort if number % 2 else client.commit)(name)
    fixture.fence(client)
    wanted = [name.encode() for name in names[::2]]
    came = all_delivered_bodies(channel, wanted, [name.encode() for name in names])
    bench.judge(
        "STOMP-TX-012",
        sorted(came) == sorted(wanted),
        expected=f"the messages of the {len(wanted)} transactions that were committed, of {count}",
        observed=f"{len(came)} messages, beginning with {came[:10]}",
    )


def _opened(channel: Channel, names: list[str]) -> bool:
    """True if all these transactions, with a SEND in each, can be open on the sender's session at a time."""
    for name in names:
        channel.sender.begin(name)
        send_in_transaction(channel.fixture, channel.sender, name, channel.destination, name)
    try:
        channel.fixture.fence(channel.sender)
    except PeerFailure:
        return False
    return True


@clauses("STOMP-ACK-002", "STOMP-SUB-010")
@pytest.mark.parametrize("order", ["first to last", "last to first", "mixed", "cumulative"])
def test_many_messages_in_flight_can_be_acknowledged(bench: Bench, order: str) -> None:
    """Acknowledge many messages in flight, in any order or by the last; expect all RECEIPTs, and none again."""
    fixture = StompFixture(bench)
    mode = "client" if order == "cumulative" or bench.version == "1.0" else "client-individual"
    clause = "STOMP-SUB-010" if mode == "client" and bench.version != "1.0" else "STOMP-ACK-002"
    if bench.version == "1.0" and order != "first to last":
        return  # 1.0 has no mode in which one ACK covers one message
    if not redelivery_works(fixture, mode, clause):
        return
    channel = channel_in_mode(fixture, mode)
    messages = messages_in_flight(channel, many(bench))
    bodies = {message.body for message in messages}
    if order == "last to first":
        messages.reverse()
    elif order == "mixed":
        random.Random(bench.seed).shuffle(messages)
    elif order == "cumulative":
        messages = messages[-1:]
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        for message in messages[:-1]:
            channel.reader.ack(message)
        channel.reader.ack(messages[-1], receipt=receipt)
        return channel.reader

    found = reaction(fixture, provoke, receipt)
    bench.judge(
        clause,
        found.is_accepted or is_undecidable(fixture, found),
        expected=f"a RECEIPT for the ACKs of {len(bodies)} messages, {order}",
        observed=found,
    )
    left = bodies & set(consume_elsewhere(fixture, channel.destination))
    bench.judge(
        clause,
        not left,
        expected=f"none of {len(bodies)} messages again, acknowledged {order}",
        observed=f"{len(left)} came again, such as {sorted(left)[:3]}",
    )


@clauses("STOMP-ACK-001")
def test_many_messages_in_flight_come_again(bench: Bench) -> None:
    """Cut a session with many messages in flight; expect all of them at another consumer."""
    fixture = StompFixture(bench)
    if not redelivery_works(fixture, "client", "STOMP-ACK-001"):
        return
    channel = channel_in_mode(fixture, "client")
    bodies = {message.body for message in messages_in_flight(channel, many(bench))}
    channel.reader.link.cut()
    missing = bodies - set(consume_elsewhere(fixture, channel.destination, bodies))
    bench.judge(
        "STOMP-ACK-001",
        not missing,
        expected=f"all of {len(bodies)} messages that were in flight",
        observed=f"{len(missing)} are missing, such as {sorted(missing)[:3]}",
    )


def messages_in_flight(channel: Channel, count: int) -> list[Frame]:
    """Send so many messages at once; those that arrive unacknowledged, as a server may hold some back."""
    bench = channel.fixture.bench
    for _ in range(count):
        channel.send(bench.fresh("m"))
    came = [channel.expect_message("STOMP-SUB-001")]
    while len(came) < count:
        within = SHORT_WAIT if HOLDS_BACK in bench.findings else None
        try:
            came.append(channel.reader.expect("MESSAGE", channel.subscription.owns, within))
        except PeerFailure:
            if channel.reader.closed or channel.reader.errors:
                raise
            bench.findings.add(HOLDS_BACK)
            break
    return came


@clauses("STOMP-SUB-014", "STOMP-SUB-001", "STOMP-UNSUB-001")
@pytest.mark.parametrize("topics", ["one", "many"])
def test_many_subscriptions_of_a_session(bench: Bench, topics: str) -> None:
    """Subscribe many times to one topic or to many, then unsubscribe; expect each message at those that are left."""
    fixture = StompFixture(bench)
    reader, sender, count = fixture.client(), fixture.client(), many(bench)
    count = min(count, int(bench.limit("subscriptions") or count))
    destinations = [fixture.topic()] * count if topics == "one" else [fixture.topic() for _ in range(count)]
    left = [
        fixture.subscribe(reader, destination, id=f"s{number}")
        for number, destination in enumerate(destinations)
    ]
    try:
        fixture.fence(reader)
    except PeerFailure as failure:
        bench.skip("STOMP-SUB-014", f"not so many subscriptions are possible: {failure}")
        return
    for clause in ("STOMP-SUB-014", "STOMP-UNSUB-001"):
        word = bench.fresh("m")
        is_one = partial(_has_body, [word.encode()])
        for destination in destinations[: 1 if topics == "one" else count]:
            fixture.send(sender, destination, word)
        try:
            fixture.fence(sender)
        except PeerFailure as failure:
            if not takes_frames_in_a_row(fixture, count):
                fixture.skip(clause, f"so many frames in a row end a session: {failure}")
                return
            raise
        came: list[str | None] = []
        try:
            while len(came) < len(left):
                came.append(reader.expect("MESSAGE", is_one).get("subscription"))
        except PeerFailure:
            pass  # the comparison says what is missing
        fixture.fence(reader)
        came += [frame.get("subscription") for frame in filter(is_one, reader.take("MESSAGE"))]
        wanted = [each.id for each in left]
        if bench.version == "1.0" and None in came:
            came = [*wanted, *came[len(wanted) :]] if len(came) >= len(wanted) else came
        wrong: Counter[str] = Counter(map(str, came))
        wrong.subtract(wanted)
        fixture.judge(
            clause if bench.version != "1.0" or clause != "STOMP-SUB-014" else "STOMP-SUB-001",
            not any(wrong.values()),
            expected=f"one MESSAGE for each of {len(wanted)} subscriptions",
            observed=f"{len(came)}; wrong are {[(name, by) for name, by in wrong.items() if by][:5]}",
        )
        first, *others = left[::2]
        unsubscribe(fixture, reader, [("id", first.id), *first.destination.headers.items()])
        for each in others:
            reader.unsubscribe(each.id, each.destination.headers)
        left = left[1::2]
        fixture.fence(reader)


def _has_body(bodies: Sequence[bytes], frame: Frame) -> bool:
    """False for a late message by which a server without receipts showed that a subscription was active."""
    return frame.body in bodies


@clauses("STOMP-SEND-002")
def test_a_topic_of_many_sessions(bench: Bench) -> None:
    """Subscribe to a topic on many sessions; expect each message once at each of them."""
    fixture = StompFixture(bench)
    destination, sender = fixture.topic(), fixture.client()
    subscriptions = [
        fixture.active_subscription(fixture.client(), destination)
        for _ in range(min(bench.examples(*SESSIONS), int(bench.limit("connections") or 1000) // 4))
    ]
    bodies = [bench.fresh("m").encode() for _ in range(3)]
    for body in bodies:
        fixture.send(sender, destination, body)
    for number, subscription in enumerate(subscriptions):
        came = [fixture.expect_message(subscription, where=partial(_has_body, bodies)).body for _ in bodies]
        bench.judge(
            "STOMP-SEND-002",
            sorted(came) == sorted(bodies),
            expected=f"three messages at session {number + 1} of {len(subscriptions)}",
            observed=came,
        )
