"""What most examples begin with: sessions, places of their own, subscriptions that are known to be active.

Everything in which brokers differ without a clause is hidden here: what destinations look like, which headers they
want, whether there are receipts and transactions to fence with, and what has to be done so that nothing is left
behind. The switches come from the target file: `receipts` (frames other than DISCONNECT are receipted) and
`transactions`, both true unless it says otherwise.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.specification.clauses import book
from conformance.suite.stomp.patience import BRIEFLY
from conformance.wire.failures import NotAdmitted, PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds between two probes of whether a subscription without receipt is active.
PROBE_INTERVAL = 0.05
#: The word for a server without receipts that granted none where one was waited for.
NO_RECEIPT = "grants no receipts"
#: Queues that one session clears at a time, so that no limit on subscriptions is met.
CLEANED_TOGETHER = 8


@dataclass(frozen=True)
class Place:
    """A destination, and the headers that this server wants with it on SEND, SUBSCRIBE and UNSUBSCRIBE."""

    destination: str
    is_queue: bool
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subscription:
    """A subscription that a test made; `id` is "" where it was made without one."""

    client: StompClient
    id: str
    place: Place
    alone: bool = False
    """Whether it is the first of its client, so that a MESSAGE that names no subscription belongs to it."""
    mode: str = "auto"
    """How its messages are acknowledged."""

    def owns(self, frame: Frame) -> bool:
        """Whether a MESSAGE is one of this subscription."""
        named = frame.get("subscription")
        if named is not None and self.id:
            return named == self.id
        return self.alone or frame.get("destination") == self.place.destination


class Scene:
    """Sessions and places with fresh names, in the binding of the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.moment = 0.05 + 5 * bench.target.round_trip
        """Seconds that an answer usually takes: how long to wait before a fence is worth its while."""
        self._numbers = itertools.count(1)
        self._queues: list[Place] = []
        self._sender: StompClient | None = None
        self._subscribed: set[int] = set()
        bench.at_end(self._clean_up)

    # Judging

    def applies(self, clause: str) -> bool:
        """Whether a clause is judged in the binding of the test or on sessions of its version."""
        classes = book()[clause].classes
        return self.bench.binding in classes or f"stomp-{self.bench.version}" in classes

    def judge(self, clause: str, ok: bool, *, expected: str, observed: object) -> bool:
        """As `Bench.judge`, for a clause that may not be one of this version: then nothing is recorded."""
        if not self.applies(clause):
            return ok
        return self.bench.judge(clause, ok, expected=expected, observed=observed)

    def observe(self, clause: str, text: str) -> None:
        """As `Bench.observe`, for a clause that may not be one of this version."""
        if self.applies(clause):
            self.bench.observe(clause, text)

    def skip(self, clause: str, reason: str) -> None:
        """As `Bench.skip`, for a clause that may not be one of this version."""
        if self.applies(clause):
            self.bench.skip(clause, reason)

    # Sessions

    def client(self, **connect: str | None) -> StompClient:
        """A session in the version of the test; keywords are headers of CONNECT, underscores for hyphens."""
        client = self.bench.stomp(connect=False)
        self.connect(client, **connect)
        return client

    def connect(self, client: StompClient, **headers: str | None) -> Frame:
        """Open the session of a client that has none.

        Judges STOMP-CONNECT-001 (a refusal only in its own tests, unless the test gives headers) and, where one version
        was offered, STOMP-CONNECT-004: nobody could read on a session whose version isn't known.
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
        """Whether the server answers `receipt` headers, as far as its target file knows."""
        return self.bench.target.fact("receipts", True)

    @property
    def has_transactions(self) -> bool:
        """Whether the server knows transactions, as far as its target file knows."""
        return self.bench.target.fact("transactions", True)

    def receipt(self) -> str:
        """A new value for a `receipt` header."""
        return f"receipt-{next(self._numbers)}"

    # Places

    def topic(self, stem: str = "topic") -> Place:
        """A place that gives each message to all of its subscriptions."""
        target = self.bench.target
        return Place(target.plain_topic(self.bench.fresh(stem)), False, target.topic_headers)

    def queue(self, stem: str = "queue") -> Place:
        """A place that gives each message to one of its subscriptions; removed when the test has ended."""
        target = self.bench.target
        place = Place(target.plain_queue(self.bench.fresh(stem)), True, target.queue_headers)
        self._queues.append(place)
        return place

    # Sending and subscribing

    def send(
        self,
        client: StompClient,
        place: Place,
        body: bytes | str = b"",
        headers: Sequence[tuple[str, str | None]] = (),
        **more: str | None,
    ) -> None:
        """SEND to a place."""
        client.send(place.destination, body, [*place.headers.items(), *headers], **more)

    def subscribe(
        self,
        client: StompClient,
        place: Place,
        headers: Sequence[tuple[str, str | None]] = (),
        **more: str | None,
    ) -> Subscription:
        """SUBSCRIBE, and leave it open whether the subscription is active yet."""
        alone = id(client) not in self._subscribed
        self._subscribed.add(id(client))
        identifier = client.subscribe(place.destination, [*place.headers.items(), *headers], **more)
        mode = more.get("ack") or dict(headers).get("ack") or "auto"
        return Subscription(client, identifier, place, alone, mode)

    def subscribed(
        self,
        client: StompClient,
        place: Place,
        headers: Sequence[tuple[str, str | None]] = (),
        *,
        by_message: bool = False,
        **more: str | None,
    ) -> Subscription:
        """A subscription that is in effect.

        The proof is its RECEIPT (judges STOMP-RECEIPT-001) or, with `by_message` and on servers without receipts, a
        message that came (judges STOMP-SUB-001); that message is acknowledged in the client modes.
        """
        if by_message or not self.has_receipts:
            subscription = self.subscribe(client, place, headers, **more)
            self._prove(subscription)
            return subscription
        receipt = self.receipt()
        subscription = self.subscribe(client, place, [*headers, ("receipt", receipt)], **more)
        self.receipted(client, receipt, "SUBSCRIBE")
        return subscription

    def receipted(self, client: StompClient, receipt: str | None, command: str = "the frame") -> Frame:
        """The RECEIPT of a frame that the server has to process, any for None; judges STOMP-RECEIPT-001.

        On servers without receipts it is waited for with all patience once: then it is no news that none comes.
        """
        within = BRIEFLY if NO_RECEIPT in self.bench.findings else None
        named = "" if receipt is None else f" with receipt-id:{receipt}"
        try:
            frame = client.expect(
                "RECEIPT", lambda frame: receipt in (None, frame.get("receipt-id")), within=within
            )
        except PeerFailure as failure:
            if not self.has_receipts:
                self.bench.findings.add(NO_RECEIPT)
            self.bench.judge(
                "STOMP-RECEIPT-001",
                False,
                expected=f"a RECEIPT{named} for {command}",
                observed=failure.observed,
            )
            raise
        self.judge("STOMP-RECEIPT-001", True, expected="a RECEIPT", observed=frame)
        return frame

    def fence(self, client: StompClient, within: float | None = None) -> None:
        """Return when the server has worked off what this client sent before; raises PeerFailure.

        By the receipt of a frame without effect; on servers without receipts by one more subscription of the client,
        to which another session sends.
        """
        if self.has_receipts:
            client.fence(None if self.has_transactions else self.topic("fence").destination, within)
            return
        place = self.topic("fence")
        subscription = Subscription(client, client.subscribe(place.destination, place.headers), place)
        self._probe(subscription, self._another(), "fence", within)

    # What arrives

    def message(
        self,
        subscription: Subscription,
        clause: str = "STOMP-SEND-002",
        where: Callable[[Frame], bool] | None = None,
        expected: str = "a MESSAGE for the subscription",
    ) -> Frame:
        """The next MESSAGE of a subscription for which `where` is true; judges `clause` where none comes."""

        def matches(frame: Frame) -> bool:
            return subscription.owns(frame) and (where is None or where(frame))

        try:
            return subscription.client.expect("MESSAGE", matches)
        except PeerFailure as failure:
            self.bench.judge(clause, False, expected=expected, observed=failure.observed)
            raise

    def messages(self, subscription: Subscription, count: int, clause: str = "STOMP-SEND-002") -> list[Frame]:
        """The next `count` messages of a subscription."""
        return [self.message(subscription, clause) for _ in range(count)]

    def until_marker(self, subscription: Subscription, sender: StompClient | None = None) -> list[Frame]:
        """Send a message of our own to the place of a subscription, and give everything that came before it.

        That is the fence for "not delivered": what a server hands on in order is there by then, or never. The
        marker is acknowledged where the subscription asks for it. `sender` is by default a new session.
        """
        body = self.bench.fresh("marker").encode()
        self.send(sender or self.client(), subscription.place, body)
        marker = self.message(subscription, where=lambda frame: frame.body == body, expected="the marker")
        if subscription.mode != "auto":
            subscription.client.ack(marker)
        return subscription.client.take("MESSAGE", subscription.owns)

    # Parts of the above

    def _another(self) -> StompClient:
        """A session that only sends: there are servers that give no connection its own messages."""
        if self._sender is None or self._sender.closed:
            self._sender = self.client()
        return self._sender

    def _prove(self, subscription: Subscription) -> None:
        sender = self.client()
        if subscription.place.is_queue and self.bench.target.fact("queues"):
            body = self.bench.fresh("probe").encode()
            self.send(sender, subscription.place, body)
            message = self.message(subscription, "STOMP-SUB-001", lambda frame: frame.body == body)
            if subscription.mode != "auto":
                subscription.client.ack(message)
            return
        try:
            message = self._probe(subscription, sender, "probe")
        except PeerFailure as failure:
            self.bench.judge(
                "STOMP-SUB-001",
                False,
                expected="a message for the subscription",
                observed=failure.observed,
            )
            raise
        leftovers = [message, *self.until_marker(subscription, sender)]
        if subscription.mode != "auto":
            for message in leftovers:
                subscription.client.ack(message)

    def _probe(
        self, subscription: Subscription, sender: StompClient, stem: str, within: float | None = None
    ) -> Frame:
        """Send to a topic until a message arrives: nothing else tells when such a subscription is active."""
        deadline = time.monotonic() + (self.bench.patience if within is None else within)
        client = subscription.client
        errors = len(client.errors)
        while True:
            self.send(sender, subscription.place, stem)
            try:
                return client.expect("MESSAGE", subscription.owns, PROBE_INTERVAL)
            except PeerFailure:
                if client.closed or len(client.errors) > errors or time.monotonic() > deadline:
                    raise

    def _clean_up(self) -> None:
        """Consume what is left in our queues; with their headers, the end of this session removes them."""
        if not self._queues:
            return
        client = self.bench.stomp()
        # After a fence that fails there is no telling what is consumed, and each further one would take as long.
        with contextlib.suppress(PeerFailure):
            for begin in range(0, len(self._queues), CLEANED_TOGETHER):
                self._consume(client, self._queues[begin : begin + CLEANED_TOGETHER])
            client.disconnect()
        client.close()

    def _consume(self, client: StompClient, places: Sequence[Place]) -> None:
        """Take what waits in some queues."""
        readers = [(client.subscribe(place.destination, place.headers), place.headers) for place in places]
        self.fence(client)
        if self.bench.target.fact("persistent_queues") and not all(place.headers for place in places):
            # What a session held that has just ended comes back when the server has noticed: no fence tells when.
            client.listen(self.moment)
        for identifier, headers in readers:
            client.unsubscribe(identifier, headers)
        self.fence(client)
