"""Channels from a sending connection to a subscription of another, and queues whose consumers come and go.

Sender and receiver are different connections, since some servers send no connection its own messages.
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
    from conformance.suite.stomp.destinations import Destination, Subscription
    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

    Headers = Sequence[tuple[str, str]]

NO_QUEUES = "the server has no queue that keeps a message for another consumer"
NO_REDELIVERY = (
    "the server doesn't redeliver unacknowledged messages, so no redelivery shows which are acknowledged"
)
#: Seconds between two markers to a queue that may still have its former consumer.
MARKER_INTERVAL = 0.3
#: Finding: the server holds back messages until earlier ones are acknowledged.
HOLDS_BACK = "sends no more before the first messages are acknowledged"
#: Finding: the server didn't redeliver a message that it had to redeliver.
LOSES = "loses unacknowledged messages"


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
        """`headers` are those of the SUBSCRIBE besides id and destination; ("id", …) takes the place of the id."""
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
        """The next MESSAGE of the subscription; a missing one counts against `clause`."""
        return self.fixture.expect_message(self.subscription, clause, where)

    def send_and_receive(self, body: bytes | str, headers: Collection[tuple[str, str | None]] = ()) -> Frame:
        """SEND, and the next MESSAGE."""
        self.send(body, headers)
        return self.expect_message()

    def unacknowledged_messages(self, count: int) -> list[Frame]:
        """Send `count` messages one by one without an ACK; the MESSAGEs that arrive, at least one.

        A server may hold back messages until earlier ones are acknowledged. Once one did so, later calls wait less.
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
    """The first MESSAGE of a new session for a destination, whatever its `subscription` is.

    `headers` are those of its SUBSCRIBE. Raises PeerFailure if no MESSAGE arrives.
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
    """Send to a destination until the reader gets a MESSAGE; raises PeerFailure if none arrives."""
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


def get_error(client: StompClient) -> None:
    """SEND without a destination, which gets an ERROR (STOMP-SEND-001), and wait for the end of the connection."""
    client.frame("SEND")
    with contextlib.suppress(PeerFailure):
        client.expect_end()
    client.close()


def consume_elsewhere(
    fixture: StompFixture,
    destination: Destination,
    awaited: Collection[bytes] = (),
    within: float | None = None,
) -> list[bytes]:
    """The bodies that a new consumer receives from a queue, in order; it consumes them.

    The bodies in `awaited` are waited for: `within` seconds or, by default, with all patience until the server has lost
    a message once, and less from then on. Markers are the fence for other messages. The former consumer may take some
    of the markers until the server notices its end.
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
    came += _until_marker(fixture, subscription, sender)
    for client in (reader, sender):
        client.close()
    return came


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
    """True if the server refused a frame that asked for a RECEIPT, by an ERROR or close or by granting none.

    On a server without receipts a missing RECEIPT doesn't count.
    """
    return found.is_refusal or (fixture.has_receipts and not found.receipts)


def is_undecidable(fixture: StompFixture, found: Reaction) -> bool:
    """True if no answer shows the fate of a frame, on a server without receipts."""
    return not fixture.has_receipts and not found.is_refusal and not found.receipts


def message_if_subscribed(
    fixture: StompFixture, reader: StompClient, destination: Destination
) -> Frame | None:
    """A MESSAGE for a destination; None if the reader is not subscribed to it."""
    try:
        return send_until_received(fixture, reader, fixture.client(), destination, "second")
    except PeerFailure:
        return None


def session_subscribing(fixture: StompFixture, headers: Headers) -> Provoke:
    """A new session that sends a SUBSCRIBE with exactly these headers."""

    def provoke() -> StompClient:
        client = fixture.client()
        client.frame("SUBSCRIBE", headers)
        return client

    return provoke


def acknowledgement_mode(bench: Bench, mode: str) -> str:
    """The `ack` mode that the version of the test has for this one; 1.0 has only `client`."""
    return "client" if bench.version == "1.0" else mode


def has_redelivery(fixture: StompFixture, *ids: str) -> bool:
    """True if the server redelivers unacknowledged messages, by its target file; else skips the clauses."""
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


def fence_by_subscription(fixture: StompFixture, client: StompClient) -> None:
    """Return when the server has processed earlier frames of a client, by one more subscription."""
    fixture.active_subscription(client, fixture.topic())


def unsubscribe(fixture: StompFixture, client: StompClient, headers: Headers) -> None:
    """UNSUBSCRIBE, and wait until the server has processed the frame."""
    if fixture.has_receipts:
        receipt = fixture.new_receipt()
        client.frame("UNSUBSCRIBE", [*headers, ("receipt", receipt)])
        fixture.expect_receipt(client, receipt, "UNSUBSCRIBE")
        return
    client.frame("UNSUBSCRIBE", headers)
    fence_by_subscription(fixture, client)


def reaction_summary(found: Reaction) -> str:
    """A reaction in a few words, for the record."""
    if found.is_refusal:
        text = (found.error.get("message") if found.error else None) or "no ERROR"
        manner = "then closed" if found.closed else "left open"
        return f"{'RECEIPT, but ' if found.receipts else ''}refused ({text}), {manner}"
    return "accepted" if found.receipts else "no answer"
