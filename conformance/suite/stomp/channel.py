"""One connection that hears what another one sends, and queues whose consumers come and go.

Sender and receiver are different connections here, since there are brokers that send nobody their own messages.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.stomp_fixture import PROBE_INTERVAL
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.stomp_fixture import Destination, StompFixture, Subscription
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

    Headers = Sequence[tuple[str, str]]

NO_QUEUES = "the server has no queue that keeps a message for another consumer"
NO_REDELIVERY = "the server doesn't deliver again what was not acknowledged, so nobody sees what was"
#: Seconds between two markers to a queue whose former consumer may not be gone yet.
MARKER_INTERVAL = 0.3
#: The word for a server that sends no more before what it sent is acknowledged.
HOLDS_BACK = "sends no more before the first messages are acknowledged"
#: The word for a server from which a message didn't come again that had to.
LOSES = "loses what was not acknowledged"


def new_destination(fixture: StompFixture, kind: str) -> Destination:
    """A fresh queue or topic."""
    return fixture.queue() if kind == "queue" else fixture.topic()


class Channel:
    """An active subscription of `reader` to a destination, and a `sender` on a connection of its own."""

    def __init__(
        self,
        fixture: StompFixture,
        destination: Destination | None = None,
        *,
        reader: StompClient | None = None,
        sender: StompClient | None = None,
        headers: Sequence[tuple[str, str | None]] = (),
    ) -> None:
        """`headers` are those of the SUBSCRIBE, beside id and destination or instead of the id."""
        self.fixture = fixture
        self.destination = destination or fixture.topic()
        self.reader = reader or fixture.client()
        self.sender = sender or fixture.client()
        self.subscription = fixture.active_subscription(self.reader, self.destination, headers)

    def send(self, body: bytes | str, headers: Collection[tuple[str, str | None]] = ()) -> None:
        """SEND to the destination."""
        self.fixture.send(self.sender, self.destination, body, list(headers))

    def expect_message(
        self, clause: str = "STOMP-SEND-002", where: Callable[[Frame], bool] | None = None
    ) -> Frame:
        """The next MESSAGE of the subscription; judges `clause` where none comes."""
        return self.fixture.expect_message(self.subscription, clause, where)

    def send_and_receive(self, body: bytes | str, headers: Collection[tuple[str, str | None]] = ()) -> Frame:
        """SEND, and the MESSAGE that comes of it."""
        self.send(body, headers)
        return self.expect_message()

    def unacknowledged_messages(self, count: int) -> list[Frame]:
        """Send so many messages one by one, acknowledge none, and give those that come, at least one.

        A server may send no more before the first ones are acknowledged; once it was seen to, that is waited for less.
        """
        came: list[Frame] = []
        for number in range(count):
            self.send(f"m{number}")
            if not came:
                came.append(self.expect_message("STOMP-SUB-001"))
                continue
            within = SHORT_WAIT if HOLDS_BACK in self.fixture.bench.findings else None
            try:
                came.append(self.reader.expect("MESSAGE", self.subscription.owns, within))
            except PeerFailure:
                if self.reader.closed or self.reader.errors:
                    raise
                self.fixture.bench.findings.add(HOLDS_BACK)
                break
        return came


def first_message(
    fixture: StompFixture, destination: Destination, headers: Sequence[tuple[str, str | None]]
) -> Frame:
    """The first MESSAGE that a new session gets from a destination, whatever subscription the MESSAGE names.

    `headers` are those of its SUBSCRIBE. Raises PeerFailure where none comes.
    """
    reader, sender = fixture.client(), fixture.client()
    if fixture.has_receipts:
        fixture.active_subscription(reader, destination, headers)
        fixture.send(sender, destination, "first")
        return reader.expect("MESSAGE")
    fixture.subscribe(reader, destination, headers)
    return send_until_received(fixture, reader, sender, destination, "first")


def send_until_received(
    fixture: StompFixture, reader: StompClient, sender: StompClient, destination: Destination, body: str
) -> Frame:
    """Send to a destination until the reader gets a MESSAGE; raises PeerFailure where none comes."""
    deadline = time.monotonic() + fixture.bench.patience
    while True:
        fixture.send(sender, destination, body)
        try:
            return reader.expect("MESSAGE", within=PROBE_INTERVAL)
        except PeerFailure:
            if reader.closed or reader.errors or time.monotonic() > deadline:
                raise


def disconnect(client: StompClient) -> None:
    """DISCONNECT, and wait for the server to end the connection."""
    client.disconnect()
    with contextlib.suppress(PeerFailure):
        client.expect_end()
    client.close()


def consume_elsewhere(
    fixture: StompFixture,
    destination: Destination,
    awaited: Collection[bytes] = (),
    within: float | None = None,
) -> list[bytes]:
    """The bodies that a new consumer finds in a queue, in order; it consumes them.

    Those in `awaited` are waited for, `within` seconds or with all patience (less of it once they were waited for in
    vain: then it is no news). Markers are the fence for the others: the consumer before may take some of them if the
    server has not noticed its end.
    """
    reader, sender = fixture.client(), fixture.client()
    subscription = fixture.subscribe(reader, destination)
    came: list[bytes] = []
    missing = set(awaited)
    patience = SHORT_WAIT if LOSES in fixture.bench.findings else fixture.bench.patience
    deadline = time.monotonic() + (patience if within is None else within)
    while missing:
        try:
            frame = reader.expect("MESSAGE", subscription.owns, max(0.0, deadline - time.monotonic()))
        except PeerFailure:
            if reader.closed or reader.errors:
                raise
            break
        came.append(frame.body)
        missing.discard(frame.body)
    if missing and within is None:
        fixture.bench.findings.add(LOSES)
    return came + _until_marker(fixture, subscription, sender)


def _until_marker(fixture: StompFixture, subscription: Subscription, sender: StompClient) -> list[bytes]:
    word = fixture.bench.fresh("marker").encode()
    came: list[bytes] = []
    deadline = time.monotonic() + fixture.bench.patience
    while True:
        fixture.send(sender, subscription.destination, word)
        try:
            subscription.client.expect("MESSAGE", lambda frame: frame.body == word, MARKER_INTERVAL)
        except PeerFailure:
            if subscription.client.closed or time.monotonic() > deadline:
                raise
            continue
        came += [frame.body for frame in subscription.client.take("MESSAGE") if frame.body != word]
        return came


def is_refused(fixture: StompFixture, found: Reaction) -> bool:
    """Whether the server refused a frame that asked for a RECEIPT: it said so, or left the RECEIPT out.

    On a server without receipts only what it says counts.
    """
    return found.is_refusal or (fixture.has_receipts and not found.receipts)


def is_undecidable(fixture: StompFixture, found: Reaction) -> bool:
    """Whether nothing tells what became of a frame: no answer, from a server that has no receipts."""
    return not fixture.has_receipts and not found.is_refusal and not found.receipts


def message_if_subscribed(
    fixture: StompFixture, reader: StompClient, destination: Destination
) -> Frame | None:
    """A MESSAGE for a destination to which the reader may be subscribed or not."""
    try:
        return send_until_received(fixture, reader, fixture.client(), destination, "second")
    except PeerFailure:
        return None


def session_subscribing(fixture: StompFixture, headers: Headers) -> Provoke:
    """A new session that sends a SUBSCRIBE with these headers and no others."""

    def provoke() -> StompClient:
        client = fixture.client()
        client.frame("SUBSCRIBE", headers)
        return client

    return provoke


def acknowledgement_mode(bench: Bench, mode: str) -> str:
    """The mode in which clients acknowledge; 1.0 has only one."""
    return "client" if bench.version == "1.0" else mode


def has_redelivery(fixture: StompFixture, *ids: str) -> bool:
    """Whether redelivery can be judged by; skips the clauses where not."""
    target = fixture.bench.target
    reason = None
    if not target.fact("queues"):
        reason = NO_QUEUES
    elif not target.fact("redelivers"):
        reason = NO_REDELIVERY
    if reason is not None:
        for clause in ids:
            fixture.skip(clause, reason)
    return reason is None


def settle(fixture: StompFixture, client: StompClient) -> None:
    """Return when the server has worked off what a client sent, by one more subscription."""
    fixture.active_subscription(client, fixture.topic())


def unsubscribe(fixture: StompFixture, client: StompClient, headers: Headers) -> None:
    """UNSUBSCRIBE, and see it done."""
    if fixture.has_receipts:
        receipt = fixture.new_receipt()
        client.frame("UNSUBSCRIBE", [*headers, ("receipt", receipt)])
        fixture.expect_receipt(client, receipt, "UNSUBSCRIBE")
        return
    client.frame("UNSUBSCRIBE", headers)
    settle(fixture, client)


def reaction_summary(found: Reaction) -> str:
    """What came of a frame, for the record."""
    if found.is_refusal:
        text = (found.error.get("message") if found.error else None) or "no ERROR"
        manner = "then closed" if found.closed else "left open"
        return f"{'RECEIPT, but ' if found.receipts else ''}refused ({text}), {manner}"
    return "accepted" if found.receipts else "no answer"
