"""Faults of the queue over STOMP in a second rewrite: replies, acknowledgements of producers, and lenient endpoints."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.server.application import Application
from reference_server.stomp.frame import CONNECTING, Frame, FrameReader
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, QueueBinding, ReplyAddress
from reference_server.stomp.session import Session
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import wrap_action

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Topic
    from reference_server.stomp.outlet import Outlet


# The binding of the queue


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def a_reply_keeps_the_last_correlation() -> None:
    """A reply to a SEND without correlation-id has that of the session's SEND before."""
    last: dict[Outlet, str] = {}

    @wrap(QueueBinding, "_reply")
    def reply(original: Any, self: QueueBinding, address: ReplyAddress, outcome: Outcome) -> Any:
        if address.correlation is None:
            address = ReplyAddress(address.outlet, last.get(address.outlet), address.receipt)
        elif address.correlation:
            last[address.outlet] = address.correlation
        return original(self, address, outcome)


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def a_correlation_of_blanks_is_trimmed() -> None:
    """Blanks around a correlation-id do not come back."""

    @wrap(QueueBinding, "_reply")
    def reply(original: Any, self: QueueBinding, address: ReplyAddress, outcome: Outcome) -> Any:
        if address.correlation is not None:
            address = ReplyAddress(address.outlet, address.correlation.strip(" "), address.receipt)
        return original(self, address, outcome)


@fault("PUB-ACK-1", bindings=STOMP)
def who_subscribed_before_the_topic_was_added_is_not_told() -> None:
    """A subscription to the acknowledgements of a topic that is added later gets none: it was looked up too early."""
    early: dict[str, set[Any]] = defaultdict(set)
    bindings: list[QueueBinding] = []

    @wrap(QueueBinding, "__init__")
    def begin(original: Any, self: QueueBinding, *arguments: Any) -> None:
        original(self, *arguments)
        bindings.append(self)

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Topic:
        topic: Topic = original(self, name, *arguments, **named)
        for binding, start in itertools.product(bindings, ACKNOWLEDGEMENTS):
            channel = binding._acknowledgements.get(start + name)
            if channel is not None:
                channel._subscribers.clear()
        early[name].clear()
        return topic


@fault("PUB-ACK-3", "PUB-ACK-8", bindings=HTTP)
def failures_over_http_are_not_told() -> None:
    """A record that is refused over HTTP is not told to subscribers; one that is stored is."""

    publishing = threading.local()

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, path: str, body: bytes, waiter: Any) -> Any:
        publishing.over_http = True
        try:
            return original(self, path, body, waiter)
        finally:
            publishing.over_http = False

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, acknowledgement: Any) -> None:
        if not (getattr(publishing, "over_http", False) and b'"FAILED"' in acknowledgement.body):
            original(self, acknowledgement)


@fault("QSTOMP-BARE-1", bindings=STOMP)
def a_session_without_connect_has_escapes() -> None:
    """On `/producer` a session that begins without CONNECT goes by the rules of 1.2."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        if (
            self._lenient
            and self.version is None
            and not data.lstrip(b"\r\n").startswith((b"CONNECT", b"STOMP"))
        ):
            self.version = "1.2"
        found: list[Frame] = original(self, data)
        return found


@fault("QSTOMP-BARE-1", bindings=STOMP)
def a_connect_to_producer_opens_a_session_of_1_0() -> None:
    """On `/producer` and `/consumer` a CONNECT that asks for 1.2 opens a session of 1.0."""

    @wrap(Session, "_process")
    def process(original: Any, self: Session, frame: Frame) -> None:
        if self._reader._lenient and frame.command in CONNECTING and self._reader.version is not None:
            self._reader.version = "1.0"
        original(self, frame)


@fault("LIVE-SIGN-2", bindings=STOMP)
def a_subscription_to_replies_keeps_consumers_alive() -> None:
    """SUBSCRIBE and UNSUBSCRIBE of a session are signs of life of the consumers that it named."""
    named: dict[Session, set[str]] = defaultdict(set)

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        body = frame.body
        try:
            name = msgspec.json.decode(body).get("consumer_name")
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
            name = None
        if isinstance(name, str):
            named[self].add(name)
        return bool(action(self, frame))

    @wrap_action("SUBSCRIBE", "UNSUBSCRIBE")
    def subscribe(action: Any, self: Session, frame: Frame) -> bool:
        broker = self.hub.router.binding._operations.broker
        for name in named[self]:
            consumer = broker.consumers.get(name)
            if consumer is not None:
                broker._sign_of_life(consumer, self.queue_now)
        return bool(action(self, frame))
