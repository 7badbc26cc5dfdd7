"""Sessions, fresh destinations and active subscriptions for the STOMP tests.

The fixture hides where servers differ without a clause: the syntax of destinations, the headers that they want, and
the receipts and transactions that a fence can use. The target file has the switches: `receipts` (frames other than
DISCONNECT are receipted) and `transactions`, both true by default.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from conformance.specification.clauses import book
from conformance.suite.stomp.destinations import Destination, Subscription
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.queue_cleanup import empty_queues
from conformance.wire.failures import NotAdmitted, PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds between two messages that probe a subscription without receipt.
PROBE_INTERVAL = 0.05
#: Finding: a server without receipts left out one that was waited for.
NO_RECEIPT = "grants no receipts"
#: Clauses by which a server must accept a frame, by its command: a refusal breaks these, and no receipt is owed then.
_ACCEPTED_BY = {"ACK": "STOMP-ACK-002", "NACK": "STOMP-NACK-001"}


class StompFixture:
    """Sessions and destinations with fresh names, in the binding of the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.usual_delay = 0.05 + 5 * bench.target.round_trip
        """Seconds that an answer usually takes, to be waited before a fence."""
        self._numbers = itertools.count(1)
        self._queues: list[Destination] = []
        self._sender: StompClient | None = None
        #: Names of the destinations subscribed to, by client.
        self._subscribed: dict[int, list[str]] = {}
        bench.at_end(lambda: empty_queues(bench, self._queues, self.fence, self.usual_delay))

    # Judging

    def applies(self, clause: str) -> bool:
        """True if the clause is judged in the binding of the test or on sessions of its version."""
        if not clause:
            return False
        classes = book()[clause].classes
        return self.bench.binding in classes or f"stomp-{self.bench.version}" in classes

    def judge(self, clause: str, ok: bool, *, expected: str, observed: object) -> bool:
        """Call `Bench.judge` if the clause applies; returns `ok`."""
        if not self.applies(clause):
            return ok
        return self.bench.judge(clause, ok, expected=expected, observed=observed)

    def observe(self, clause: str, text: str) -> None:
        """Call `Bench.observe` if the clause applies."""
        if self.applies(clause):
            self.bench.observe(clause, text)

    def skip(self, clause: str, reason: str) -> None:
        """Call `Bench.skip` if the clause applies."""
        if self.applies(clause):
            self.bench.skip(clause, reason)

    # Sessions

    def client(self, **connect: str | None) -> StompClient:
        """A session in the version of the test; keywords are headers of CONNECT, with underscores for hyphens."""
        client = self.bench.stomp(connect=False)
        self.connect(client, **connect)
        return client

    def connect(self, client: StompClient, **headers: str | None) -> Frame:
        """Send CONNECT and return CONNECTED.

        Judges STOMP-CONNECT-001 (a refusal only in its own tests, unless the test gives headers) and, if only one
        version was offered, STOMP-CONNECT-004: frames can't be read on a session of an unknown version.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connected = self.bench.open_session(client, given)
        except NotAdmitted:
            raise
        except PeerFailure as failure:
            self.bench.judge(
                "STOMP-CONNECT-001", False, expected="CONNECTED for CONNECT", observed=failure.observed
            )
            raise
        self.judge("STOMP-CONNECT-001", True, expected="CONNECTED", observed=connected)
        if "accept-version" not in given:
            self.judge(
                "STOMP-CONNECT-004",
                connected.get("version") == self.bench.version,
                expected=f"version:{self.bench.version}",
                observed=connected.octets,
            )
        return connected

    @property
    def has_receipts(self) -> bool:
        """True if the server answers `receipt` headers, by its target file."""
        return self.bench.target.fact("receipts", True)

    @property
    def has_transactions(self) -> bool:
        """True if the server has transactions, by its target file."""
        return self.bench.target.fact("transactions", True)

    def new_receipt(self) -> str:
        """A new value for a `receipt` header."""
        return f"receipt-{next(self._numbers)}"

    # Destinations

    def topic(self, stem: str = "topic") -> Destination:
        """A fresh destination that gives each message to all of its subscriptions."""
        target = self.bench.target
        return Destination(target.plain_topic(self.bench.fresh(stem)), False, target.topic_headers)

    def queue(self, stem: str = "queue") -> Destination:
        """A fresh destination that gives each message to one of its subscriptions; emptied after the test."""
        target = self.bench.target
        destination = Destination(target.plain_queue(self.bench.fresh(stem)), True, target.queue_headers)
        self._queues.append(destination)
        return destination

    # Attempts

    def begin_attempt(self) -> Callable[[], None]:
        """Return a call that ends what the test opens from now on, for a test that tries again with fresh sessions."""
        mark, sender = self.bench.registered(), self._sender
        subscribed = {client: [*names] for client, names in self._subscribed.items()}

        def end() -> None:
            self.bench.close_since(mark)
            self._sender, self._subscribed = sender, subscribed

        return end

    # Sending and subscribing

    def send(
        self,
        client: StompClient,
        destination: Destination,
        body: bytes | str = b"",
        headers: Sequence[tuple[str, str | None]] = (),
        **more: str | None,
    ) -> None:
        """SEND to a destination."""
        client.send(destination.name, body, [*destination.headers.items(), *headers], **more)

    def subscribe(
        self,
        client: StompClient,
        destination: Destination,
        headers: Sequence[tuple[str, str | None]] = (),
        **more: str | None,
    ) -> Subscription:
        """SUBSCRIBE, without waiting until the subscription is active."""
        siblings = self._subscribed.setdefault(id(client), [])
        is_first = not siblings
        siblings.append(destination.name)
        identifier = client.subscribe(destination.name, [*destination.headers.items(), *headers], **more)
        mode = more.get("ack") or dict(headers).get("ack") or "auto"
        return Subscription(client, identifier, destination, is_first, mode, siblings)

    def active_subscription(
        self,
        client: StompClient,
        destination: Destination,
        headers: Sequence[tuple[str, str | None]] = (),
        **more: str | None,
    ) -> Subscription:
        """SUBSCRIBE, and wait until the subscription is active.

        The proof is the RECEIPT (judges STOMP-RECEIPT-001) or, on servers without receipts, a MESSAGE (judges
        STOMP-SUB-001), which is acknowledged in the client modes.
        """
        if not self.has_receipts:
            subscription = self.subscribe(client, destination, headers, **more)
            self._confirm_by_message(subscription)
            return subscription
        receipt = self.new_receipt()
        subscription = self.subscribe(client, destination, [*headers, ("receipt", receipt)], **more)
        self.expect_receipt(client, receipt, "SUBSCRIBE")
        return subscription

    def expect_receipt(
        self,
        client: StompClient,
        receipt: str | None,
        command: str = "the frame",
        *,
        accepted_by: str = "",
        behind: str = "",
    ) -> Frame:
        """The RECEIPT with this receipt-id, or with any for None; judges STOMP-RECEIPT-001, or the clause by which the
        server must accept the frame (`accepted_by`, or that of its command), if an ERROR comes instead.

        The ERROR may be for a frame without receipt in front of it, of the command `behind`: it is, unless it names
        this receipt. On a server without receipts only the first call waits with all patience.
        """
        within = SHORT_WAIT if NO_RECEIPT in self.bench.findings else None
        named = "" if receipt is None else f" with receipt-id:{receipt}"
        try:
            frame = client.expect(
                "RECEIPT", lambda frame: receipt in (None, frame.get("receipt-id")), within=within
            )
        except PeerFailure as failure:
            if not self.has_receipts:
                self.bench.findings.add(NO_RECEIPT)
            if behind in _ACCEPTED_BY and all(error.get("receipt-id") != receipt for error in client.errors):
                command, accepted_by = behind, ""
            clause = accepted_by or _ACCEPTED_BY.get(command, "")
            refused = client.errors and self.applies(clause)
            self.bench.judge(
                clause if refused else "STOMP-RECEIPT-001",
                False,
                expected=f"a RECEIPT{named}{', and no ERROR' if refused else ''} for {command}",
                observed=failure.observed,
            )
            raise
        self.judge("STOMP-RECEIPT-001", True, expected="a RECEIPT", observed=frame)
        return frame

    def fence(self, client: StompClient, within: float | None = None) -> None:
        """Return when the server has processed all earlier frames of this client.

        The proof is the RECEIPT of a frame without effect; on servers without receipts it is a MESSAGE for one more
        subscription of the client, sent by another session. Raises PeerFailure if it doesn't come within so many
        seconds (default: the patience).
        """
        if self.has_receipts:
            client.fence(None if self.has_transactions else self.topic("fence").name, within)
            return
        destination = self.topic("fence")
        identifier = client.subscribe(destination.name, destination.headers)
        subscription = Subscription(client, identifier, destination)
        self._send_until_received(subscription, self._sending_client(), "fence", within)

    # Receiving

    def expect_message(
        self,
        subscription: Subscription,
        clause: str = "STOMP-SEND-002",
        where: Callable[[Frame], bool] | None = None,
        expected: str = "a MESSAGE for the subscription",
    ) -> Frame:
        """The next MESSAGE of a subscription for which `where` is true; a missing one counts against `clause`.

        An ERROR in its place, behind an ACK or NACK as the last frame, counts against the clause by which the server
        must accept that one.
        """

        def matches(frame: Frame) -> bool:
            return subscription.owns(frame) and (where is None or where(frame))

        try:
            return subscription.client.expect("MESSAGE", matches)
        except PeerFailure as failure:
            command = subscription.client.last_command
            accepting = _ACCEPTED_BY.get(command, "")
            if subscription.client.errors and self.applies(accepting):
                clause, expected = accepting, f"{expected}, and no ERROR for the {command} before it"
            self.bench.judge(clause, False, expected=expected, observed=failure.observed)
            raise

    def messages_before_marker(
        self, subscription: Subscription, sender: StompClient | None = None, clause: str = "STOMP-SEND-002"
    ) -> list[Frame]:
        """Send a marker to the destination of a subscription; the MESSAGEs that arrive before it.

        A marker that doesn't come counts against `clause`.

        The marker is the fence for "not delivered": a server that delivers in order has sent the others before it. It
        is acknowledged in the client modes. `sender` is a new session by default.
        """
        body = self.bench.fresh("marker").encode()
        self.send(sender or self.client(), subscription.destination, body)
        marker = self.expect_message(
            subscription, clause, where=lambda frame: frame.body == body, expected="the marker"
        )
        if subscription.mode != "auto":
            subscription.client.ack(marker)
        return subscription.client.take("MESSAGE", subscription.owns)

    # Parts of the above

    def _sending_client(self) -> StompClient:
        """A session that only sends: some servers give no connection its own messages."""
        if self._sender is None or self._sender.closed:
            self._sender = self.client()
        return self._sender

    def _confirm_by_message(self, subscription: Subscription) -> None:
        sender = self.client()
        if subscription.destination.is_queue and self.bench.target.fact("queues"):
            body = self.bench.fresh("probe").encode()
            self.send(sender, subscription.destination, body)
            message = self.expect_message(subscription, "STOMP-SUB-001", lambda frame: frame.body == body)
            if subscription.mode != "auto":
                subscription.client.ack(message)
            return
        try:
            message = self._send_until_received(subscription, sender, "probe")
        except PeerFailure as failure:
            self.bench.judge(
                "STOMP-SUB-001", False, expected="a message for the subscription", observed=failure.observed
            )
            raise
        leftovers = [message, *self.messages_before_marker(subscription, sender)]
        if subscription.mode != "auto":
            for message in leftovers:
                subscription.client.ack(message)

    def _send_until_received(
        self, subscription: Subscription, sender: StompClient, body: str, within: float | None = None
    ) -> Frame:
        """Send to a topic until a MESSAGE arrives, the only sign that a subscription without receipt is active."""
        deadline = time.monotonic() + (self.bench.patience if within is None else within)
        client = subscription.client
        errors = len(client.errors)
        while True:
            self.send(sender, subscription.destination, body)
            try:
                return client.expect("MESSAGE", subscription.owns, PROBE_INTERVAL)
            except PeerFailure:
                if client.closed or len(client.errors) > errors or time.monotonic() > deadline:
                    raise
