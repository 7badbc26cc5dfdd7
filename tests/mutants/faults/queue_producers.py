"""Faults in replies to producers: acknowledgements of both spellings, receipts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import outcomes, requests
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import ProducerAcknowledgement, acknowledged
from reference_server.server.application import Application
from reference_server.server.clock import wall
from reference_server.server.long_poll import LongPoll
from reference_server.stomp.destinations import Broadcast, Message
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, QueueBinding
from tests.mutants.editing import topic_of
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, PUBLISH, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.stomp.session import Session

#: Seconds by which something is done too early: longer than a client takes to look.
EARLY = 0.05


def _tell(binding: QueueBinding, told: ProducerAcknowledgement, spellings: tuple[str, ...]) -> None:
    """Send an acknowledgement to the subscribers of some spellings."""
    for spelling in spellings:
        destination = spelling + told.topic
        subscribers = binding._acknowledgements.get(destination)
        if subscribers is not None:
            subscribers.put(Message(next(binding._numbers), destination, {}, told.body))


@fault("PUB-ACK-1", bindings=STOMP)
def acknowledgments_are_only_spelt_with_an_e() -> None:
    """Subscribers to /topic/acknowledgment/{topic} get nothing."""

    @replace(QueueBinding, "acknowledge_producer")
    def acknowledge(self: QueueBinding, told: ProducerAcknowledgement) -> None:
        _tell(self, told, ACKNOWLEDGEMENTS[1:])


@fault("PUB-ACK-2", bindings=STOMP)
def acknowledgements_are_only_spelt_without_an_e() -> None:
    """Subscribers to /topic/acknowledgement/{topic} get nothing."""

    @replace(QueueBinding, "acknowledge_producer")
    def acknowledge(self: QueueBinding, told: ProducerAcknowledgement) -> None:
        _tell(self, told, ACKNOWLEDGEMENTS[:1])


@fault("PUB-STOMP-1", bindings=PUBLISH)
def records_of_a_session_without_connect_are_dropped() -> None:
    """A SEND in a session that began without CONNECT is ignored."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, session: Session, frame: Frame) -> bool:
        destination = frame.headers.get("destination", "")
        if topic_of(destination) is not None and session.version == "1.0":
            return True
        done: bool = original(self, session, frame)
        return done


@fault("PUB-ACK-9", bindings=PUBLISH)
def only_the_newest_listener_gets_acknowledgements() -> None:
    """Only the newest subscription to the acknowledgements of a topic gets them."""

    @wrap(Broadcast, "put")
    def put(original: Any, self: Broadcast, message: Message) -> None:
        if message.destination.startswith(ACKNOWLEDGEMENTS):
            list(self._subscribers)[-1].deliver(message)
        else:
            original(self, message)


@fault("PUB-ACK-1", "PUB-ACK-2", bindings=STOMP)
def only_the_first_subscriber_is_told() -> None:
    """The oldest subscription to the acknowledgements of a topic gets all copies of them."""

    @wrap(Broadcast, "put")
    def put(original: Any, self: Broadcast, message: Message) -> None:
        if message.destination.startswith(ACKNOWLEDGEMENTS):
            next(iter(self._subscribers)).deliver(message)
        else:
            original(self, message)


@fault("PUB-ACK-3", bindings=STOMP)
def refused_records_are_not_told() -> None:
    """FAILED is never sent."""

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: ProducerAcknowledgement) -> None:
        if b"FAILED" not in told.body:
            original(self, told)


@fault("PUB-ACK-3", bindings=STOMP)
def a_failure_has_no_reason() -> None:
    """FAILED has no reason."""

    @wrap(outcomes, "failed")
    def failed(original: Any, topic: str, label: Any, refusal: Any) -> ProducerAcknowledgement:
        del original, refusal
        body = msgspec.json.encode({"messageId": label, "acknowledgementMessage": "FAILED"})
        return ProducerAcknowledgement(topic, body)


@fault("PUB-ACK-3", bindings=HTTP)
def a_missing_topic_is_not_told() -> None:
    """FAILED is not sent for unknown topics."""

    @wrap(outcomes, "failed")
    def failed(original: Any, topic: str, label: Any, refusal: Any) -> ProducerAcknowledgement | None:
        return None if refusal.cause == "topic-unknown" else original(topic, label, refusal)


@fault("PUB-ACK-4", bindings=STOMP)
def everything_is_acknowledged_twice() -> None:
    """Each acknowledgement is sent twice."""

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: ProducerAcknowledgement) -> None:
        original(self, told)
        original(self, told)


@fault("PUB-ACK-4", bindings=STOMP)
def a_label_that_repeats_fails_too() -> None:
    """A record with the label of the one before it is acknowledged by ACK and by FAILED."""
    last: dict[str, bytes] = {}

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: ProducerAcknowledgement) -> None:
        original(self, told)
        if last.get(told.topic) == told.body and b"ACK" in told.body:
            document = msgspec.json.decode(told.body)
            document.update(acknowledgementMessage="FAILED", reason="a duplicate")
            original(self, ProducerAcknowledgement(told.topic, msgspec.json.encode(document)))
        last[told.topic] = told.body


def _publishes(self: Application, items: list[Any]) -> list[tuple[Frame, str, str | int]]:
    """SENDs among `items` of well-formed records to topics that exist, with topic and label."""
    found = []
    for item in items:
        if isinstance(item, Frame) and item.command == "SEND":
            topic = topic_of(item.headers.get("destination", ""))
            label = requests.label_of(item.body)
            if topic in self._broker.topics and label is not None and b'"message"' in item.body:
                found.append((item, str(topic), label))
    return found


def _before_storing(act: Any) -> None:
    """Call `act(application, session, frame, topic, label)` before each SEND of a record.

    If `act` returns True, the record is stored a while later; `act` is called under the lock.
    """

    @wrap(Application, "handle")
    def handle(original: Any, self: Application, session: Session, items: list[Any]) -> None:
        with self._turn():
            self._hub.now = wall()
            acted = [act(self, session, *each) for each in _publishes(self, items)]
        if any(acted):
            threading.Event().wait(EARLY)
        original(self, session, items)


@fault("PUB-ACK-5", bindings=STOMP, hard=True)
def a_record_is_acknowledged_before_it_is_stored() -> None:
    """ACK is sent on arrival of the record, which is stored a moment later."""
    early: set[bytes] = set()

    def act(self: Application, session: Session, frame: Frame, topic: str, label: str | int) -> bool:
        del session, frame
        binding = self._hub.router.binding
        if not any(spelling + topic in binding._acknowledgements for spelling in ACKNOWLEDGEMENTS):
            return False
        told = acknowledged(topic, label)
        binding.acknowledge_producer(told)
        early.add(topic.encode() + told.body)
        return True

    _before_storing(act)

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        told = outcome.acknowledgement
        if told is not None and told.topic.encode() + told.body in early:
            early.discard(told.topic.encode() + told.body)
            outcome = msgspec.structs.replace(outcome, acknowledgement=None)
        original(self, address, outcome)


@fault("PUB-RECEIPT-1", bindings=STOMP, hard=True)
def a_receipt_is_granted_before_the_record_is_stored() -> None:
    """RECEIPT is sent on arrival of the SEND, whose record is stored a moment later."""

    def act(self: Application, session: Session, frame: Frame, topic: str, label: str | int) -> bool:
        del self, topic, label
        receipt = frame.headers.get("receipt")
        if receipt is None:
            return False
        session.grant(receipt)
        frame.headers = {name: value for name, value in frame.headers.items() if name != "receipt"}
        return True

    _before_storing(act)


@fault("PUB-RECEIPT-1", bindings=STOMP)
def records_have_no_receipts() -> None:
    """A SEND of a record gets no RECEIPT."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, session: Session, frame: Frame) -> bool:
        done: bool = original(self, session, frame)
        return done and topic_of(frame.headers["destination"]) is None


@fault("PUB-RECEIPT-2", bindings=STOMP)
def a_refused_record_gets_its_receipt() -> None:
    """A SEND whose record is refused gets RECEIPT and no ERROR."""

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        try:
            original(self, address, outcome)
        except ProtocolError:
            if outcome.acknowledgement is None:
                raise


@fault("PUB-ACK-6", bindings=STOMP)
def labels_are_told_as_text() -> None:
    """An acknowledgement gives the label as a string, even if it was a number."""

    @wrap(outcomes, "acknowledged")
    def told(original: Any, topic: str, label: str | int) -> ProducerAcknowledgement:
        result: ProducerAcknowledgement = original(topic, str(label))
        return result


@fault("PUB-ACK-6", bindings=HTTP)
def large_labels_lose_their_end() -> None:
    """An acknowledgement rounds a label beyond 2⁵³ to a floating-point number."""

    @wrap(outcomes, "acknowledged")
    def told(original: Any, topic: str, label: str | int) -> ProducerAcknowledgement:
        result: ProducerAcknowledgement = original(
            topic, label if isinstance(label, str) else int(float(label))
        )
        return result


@fault("PUB-ACK-7", bindings=STOMP, hard=True)
def acknowledgements_go_to_all_producers() -> None:
    """The subscribers of each topic get the acknowledgements of all topics."""

    @replace(QueueBinding, "acknowledge_producer")
    def acknowledge(self: QueueBinding, told: ProducerAcknowledgement) -> None:
        for destination, subscribers in tuple(self._acknowledgements.items()):
            subscribers.put(Message(next(self._numbers), destination, {}, told.body))


@fault("PUB-ACK-7", bindings=STOMP, hard=True)
def what_fails_nowhere_is_told_somewhere() -> None:
    """FAILED for an unknown topic goes to the subscribers of the topic that was published to last."""
    last = [""]

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: ProducerAcknowledgement) -> None:
        original(self, told)
        if b"FAILED" not in told.body:
            last[0] = told.topic
        elif b"there is no topic" in told.body:
            original(self, ProducerAcknowledgement(last[0], told.body))


@fault("PUB-ACK-8", bindings=HTTP)
def records_over_http_are_not_acknowledged() -> None:
    """Records that are published over HTTP are not acknowledged over STOMP."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, *arguments: Any, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, *arguments, **named)
        if outcome is None or not isinstance(named["waiter"], LongPoll):
            return outcome
        return msgspec.structs.replace(outcome, acknowledgement=None)
