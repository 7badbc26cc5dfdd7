"""Values of all lengths in every place that has one: headers, names, destinations, ids, receipts, bodies."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import lengths
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.stomp.transaction_steps import send_in_transaction
from conformance.wire.cutting import cut
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

#: The clause by which each place must keep what it holds.
PLACES = {
    "value": "STOMP-SEND-004",
    "name": "STOMP-SEND-004",
    "body": "STOMP-SEND-005",
    "receipt": "STOMP-RECEIPT-002",
    "subscription": "STOMP-MESSAGE-003",
    "destination": "STOMP-SEND-006",
    "transaction": "STOMP-TX-012",
}
#: Longest receipt of 1.0, which is judged with values of moderate length.
MODERATE = 256
#: Longest name of a destination: beyond it servers have limits of their storage.
LONGEST_NAME = 1025


class Refused(Exception):
    """The server refused a frame, which is taken for a limit of its own (STOMP-LIMIT-002, STOMP-LIMIT-003)."""


def text_of(length: int) -> str:
    """Text of so many octets in which no part is like another, so that a lost or moved part shows."""
    return ("x" + _numbers(max(1 << 10, 1 << length.bit_length())))[:length]


@functools.cache
def _numbers(octets: int) -> str:
    """At least so many octets of consecutive numbers."""
    return "".join(f"{number:x}." for number in range(octets // 2 + 1))


@clauses(*dict.fromkeys(PLACES.values()))
@pytest.mark.parametrize("place", PLACES)
def test_a_value_of_any_length_is_kept(bench: Bench, place: str) -> None:
    """Send values of lengths around powers of two; expect each back unchanged, and unmixed."""
    fixture = StompFixture(bench)
    clause = PLACES[place]
    if not fixture.applies(clause) or (place == "receipt" and not fixture.has_receipts):
        return
    if place == "transaction" and not fixture.has_transactions:
        fixture.skip(clause, "the server has no transactions")
        return
    kept: Callable[[Loopback, str], object] = {
        "value": _value,
        "name": _name,
        "body": _body,
        "receipt": _receipt,
        "subscription": _subscription,
        "destination": _destination,
        "transaction": _transaction,
    }[place]
    loopback = Loopback(fixture)
    passed = 0
    for length in lengths(bench, **_bounds(bench, place)):
        text = text_of(length)
        try:
            came = kept(loopback, text)
        except Refused as refusal:
            bench.observe("STOMP-LIMIT-002", f"{place}s of {length} octets are refused: {refusal}")
            break
        bench.judge(
            clause,
            came == text,
            expected=f"a {place} of {length} octets as it was: {text[:30]!r} to {text[-30:]!r}",
            observed=f"{len(came)} octets: {cut(came, 100)!r}" if isinstance(came, str) else came,
        )
        passed = length
    if not passed:
        fixture.skip(clause, f"no {place} of the lengths in question passes")


def _bounds(bench: Bench, place: str) -> dict[str, int]:
    if place in ("destination", "transaction", "subscription"):
        return {"at_most": LONGEST_NAME, "at_least": 100}
    if place == "receipt" and bench.version == "1.0":
        return {"at_most": MODERATE}
    return {}


def _next(loopback: Loopback, receipt: str = "") -> Frame:
    """The next MESSAGE; raises Refused at an ERROR or the end of the connection, judges a message that is lost."""
    fixture = loopback.fixture
    try:
        return loopback.receive()
    except PeerFailure as failure:
        client = loopback.client
        if client.errors or client.closed:
            raise Refused(failure.observed) from failure
        granted = bool(receipt) and bool(
            client.take("RECEIPT", lambda frame: frame.get("receipt-id") == receipt)
        )
        if granted or not fixture.has_receipts:
            fixture.judge(
                "STOMP-SEND-002", False, expected="the message that was receipted", observed=failure.observed
            )
        raise Refused("no answer") from failure


def _send(loopback: Loopback, headers: list[tuple[str, str | None]], body: str) -> Frame:
    receipt = loopback.fixture.new_receipt() if loopback.fixture.has_receipts else ""
    asked: list[tuple[str, str | None]] = [("receipt", receipt)] if receipt else []
    loopback.send([*headers, *asked], body)
    message = _next(loopback, receipt)
    if receipt:
        loopback.client.take("RECEIPT")
    return message


def _value(loopback: Loopback, text: str) -> str | None:
    return _send(loopback, [("long", text)], "body").get("long")


def _name(loopback: Loopback, text: str) -> str | None:
    message = _send(loopback, [(text, "value")], "body")
    names = [name for name, value in message.headers if value == "value"]
    return names[0] if names else None


def _body(loopback: Loopback, text: str) -> str:
    return _send(loopback, [], text).body.decode(errors="replace")


def _receipt(loopback: Loopback, text: str) -> str | None:
    loopback.send([("receipt", text)], "body")
    try:
        came = loopback.client.expect("RECEIPT")
    except PeerFailure as failure:
        raise Refused(failure.observed) from failure
    _next(loopback)
    return came.get("receipt-id")


def _subscription(loopback: Loopback, text: str) -> object:
    """The id of the MESSAGE of a subscription, among two whose ids differ in their last octet."""
    fixture = loopback.fixture
    reader, sender = fixture.client(), fixture.client()
    topics = [fixture.topic(), fixture.topic()]
    for identifier, topic in zip((text, text[:-1] + "~"), topics, strict=True):
        reader.subscribe(topic.name, topic.headers, id=identifier)
    try:
        fixture.fence(reader)
        for topic in reversed(topics):
            fixture.send(sender, topic, "m")
        came = [reader.expect("MESSAGE").get("subscription") for _ in topics]
    except PeerFailure as failure:
        raise Refused(failure.observed) from failure
    finally:
        for client in (reader, sender):
            client.close()
    return text if sorted(map(str, came)) == sorted((text, text[:-1] + "~")) else came


def _destination(loopback: Loopback, text: str) -> object:
    """Messages at two destinations whose names differ in their last octet."""
    fixture, target = loopback.fixture, loopback.fixture.bench.target
    reader, sender = fixture.client(), fixture.client()
    stem = (fixture.bench.fresh("d") + "-" + text.replace(".", "-"))[: len(text) - 1]
    try:
        for end in "xy":
            reader.subscribe(target.plain_topic(stem + end), target.topic_headers, id=end)
        fixture.fence(reader)
        for end in "yx":
            sender.send(target.plain_topic(stem + end), end, target.topic_headers)
        fixture.fence(sender)
        came = [reader.expect("MESSAGE") for _ in "xy"]
        fixture.fence(reader)
        came += reader.take("MESSAGE")
    except PeerFailure as failure:
        if not (reader.errors or reader.closed or sender.errors or sender.closed):
            return failure.observed
        raise Refused(failure.observed) from failure
    finally:
        reader.close()
        sender.close()
    # A session of 1.0 may leave out the subscription.
    mixed = [frame for frame in came if frame.get("subscription") not in (None, frame.body.decode())]
    return text if len(came) == len("xy") and not mixed else [frame.octets for frame in came]


def _transaction(loopback: Loopback, text: str) -> object:
    """Messages of a transaction, while another is open whose name differs in its last octet."""
    fixture, client, other = loopback.fixture, loopback.client, text[:-1] + "~"
    client.begin(text)
    client.begin(other)
    try:
        fixture.fence(client)
    except PeerFailure as failure:
        raise Refused(failure.observed) from failure
    for name in (text, other):
        send_in_transaction(fixture, client, name, loopback.destination, name[-1])
    client.commit(text)
    try:
        came = [loopback.receive().body.decode()]
        client.abort(other)
        fixture.fence(client)
    except PeerFailure as failure:
        return failure.observed
    came += [frame.body.decode() for frame in loopback.reader.take("MESSAGE")]
    return text if came == [text[-1]] else f"messages of both transactions: {came}"
