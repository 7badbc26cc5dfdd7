"""The table of operations that both bindings serve: a path and a JSON body in, a status and a body out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import requests
from reference_server.queue.introspection import describe, describe_topic
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.outcomes import (
    ACCEPTED,
    NOTHING,
    Outcome,
    ProducerAcknowledgement,
    acknowledged,
    failed,
    refused,
)
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from reference_server.queue.broker import QueueBroker

__all__ = ["Operations", "Outcome", "ProducerAcknowledgement"]

_PUBLISH = "/producer/publish/"
_PUBLISH_ALIAS = "/publish/"
_encode = msgspec.json.encode
_publication = requests.decoder_of(requests.Publish).decode


class Operations:
    """Performs operations on a broker. Bad input never raises: a refusal is an Outcome with a problem body."""

    def __init__(self, broker: QueueBroker) -> None:
        self.broker = broker
        self._long_polls = LongPolls(broker)
        self._table: dict[str, Callable[[bytes, float, Hashable | None], Outcome | None]] = {
            "/topic/add-topic": self._row(requests.AddTopic, self._add_topic),
            "/addTopic": self._row(requests.AddTopic, self._add_topic),  # TOPIC-ALIAS-1
            "/consumer-group/add": self._row(requests.NameGroup, self._add_group),
            "/consumer-group/remove": self._row(requests.NameGroup, self._remove_group),
            "/consumer/register-consumer": self._row(requests.Register, self._register),
            "/consumer/unregister-consumer": self._row(requests.NameConsumer, self._unregister),
            "/consumer/subscribe-topic": self._row(requests.TopicList, self._subscribe),
            "/consumer/unsubscribe-topic": self._row(requests.TopicList, self._unsubscribe),
            "/consumer/poll": self._poll,
            "/consumer/acknowledgement": self._row(requests.Settle, self._acknowledge),
            "/consumer/negative-acknowledgement": self._row(requests.Settle, self._give_back),
            "/consumer/heartbeat": self._row(requests.NameConsumer, self._heartbeat),
        }
        self._advance = self._row(requests.AdvanceGroup, self._advance_group)
        self._poll_request = requests.decoder_of(requests.Poll)

    def is_operation(self, path: str) -> bool:
        """Whether a path is that of an operation, also where it would be refused for its topic."""
        return path in self._table or path.startswith((_PUBLISH, _PUBLISH_ALIAS))

    def perform(
        self, path: str, body: bytes, *, now: float, waiter: Hashable | None = None
    ) -> Outcome | None:
        """Perform the operation at `path`; `now` is the queue's time in seconds.

        None: a long poll waits under `waiter`, and `answered` will have its outcome. Without a waiter a long poll
        is answered at once.
        """
        if path.startswith(_PUBLISH):
            return self._publish(path[len(_PUBLISH) :], body, now)
        operation = self._table.get(path)
        if operation is None:
            if path.startswith(_PUBLISH_ALIAS):  # PUB-ALIAS-1
                return self._publish(path[len(_PUBLISH_ALIAS) :], body, now)
            return refused(Refusal("path-unknown", f"there is no operation {path!r}"))
        try:
            return operation(body, now, waiter)
        except Refusal as refusal:
            return refused(refusal)

    def read(self, path: str, *, now: float) -> Outcome:
        """What can be read at /topics, /topics/{topic} and /consumer-groups/{group} (extension introspection)."""
        self.broker.tick(now)
        try:
            return Outcome(200, _encode(describe(self.broker, path)))
        except Refusal as refusal:
            return refused(refusal)

    def advance_group(self, body: bytes, *, now: float) -> Outcome:
        """Move the time of the group that the body names on (extension virtual-clock-per-group, CLOCK-3)."""
        try:
            return self._advance(body, now, None)
        except Refusal as refusal:
            return refused(refusal)

    # Long polls that wait

    def answered(self) -> list[tuple[Hashable, Outcome]]:
        """The waiting long polls that have an answer since the last call; ask after any perform or tick."""
        return self._long_polls.answered()

    def wait_of(self, waiter: Hashable) -> float:
        """How many seconds of wall time the long poll of `waiter` asked to wait."""
        return self._long_polls.wait_of(waiter)

    def cancel(self, waiter: Hashable) -> Outcome | None:
        """End a long poll whose time is up or whose client is gone; its empty outcome, or None if none waits."""
        return self._long_polls.cancel(waiter)

    # The rows of the table

    def _row(
        self, kind: type[requests.SomeRequest], method: Callable[[requests.SomeRequest, float], Outcome]
    ) -> Callable[[bytes, float, Hashable | None], Outcome]:
        decoder = requests.decoder_of(kind)

        def operation(body: bytes, now: float, _waiter: Hashable | None) -> Outcome:
            return method(requests.decode(decoder, body), now)

        return operation

    def _publish(self, topic: str, body: bytes, now: float) -> Outcome:
        try:
            try:
                request = _publication(body) if body.isascii() else requests.decode(_PUBLICATIONS, body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                # Once more, for a refusal that says what is wrong; PUB-TOPIC-1 does not care which comes first.
                request = requests.decode(_PUBLICATIONS, body)
            timestamp = int(now * 1000) if request.timestamp is None else request.timestamp
            record = Record(request.messageID, request.message, request.key, timestamp)
            partition, offset = self.broker.publish(topic, record, now=now)
        except Refusal as refusal:
            outcome = refused(refusal)
            label = requests.label_of(body)
            return Outcome(outcome.status, outcome.body, outcome.content_type, failed(topic, label, refusal))
        position = b'{"topicName":"%b","partition":%d,"offset":%d}' % (
            topic.encode(),
            partition.index,
            offset,
        )
        return Outcome(200, position, acknowledgement=acknowledged(topic, request.messageID))

    def _add_topic(self, request: requests.AddTopic, now: float) -> Outcome:
        partitions = None if request.partitions is msgspec.UNSET else request.partitions
        octets = None if request.partition_bytes is msgspec.UNSET else request.partition_bytes
        topic = self.broker.add_topic(request.topicName, partitions, octets, now=now)
        return Outcome(200, _encode(describe_topic(topic)))

    def _add_group(self, request: requests.NameGroup, now: float) -> Outcome:
        group = self.broker.add_group(request.consumer_group_name, now=now)
        return _names(200, consumer_group_name=group.name)

    def _remove_group(self, request: requests.NameGroup, now: float) -> Outcome:
        self.broker.remove_group(request.consumer_group_name, now=now)
        return ACCEPTED

    def _register(self, request: requests.Register, now: float) -> Outcome:
        consumer = self.broker.register(request.consumer_group_name, request.consumer_name, now=now)
        return _names(200, consumer_group_name=consumer.group.name, consumer_name=consumer.name)

    def _unregister(self, request: requests.NameConsumer, now: float) -> Outcome:
        self.broker.unregister(self.broker.consumer(request.consumer_name, now=now))
        return ACCEPTED

    def _subscribe(self, request: requests.TopicList, now: float) -> Outcome:
        consumer = self.broker.consumer(request.consumer_name, now=now)
        names = request.names()
        self.broker.subscribe(consumer, names)
        return Outcome(200, _encode({"consumer_name": consumer.name, "topics": names}))

    def _unsubscribe(self, request: requests.TopicList, now: float) -> Outcome:
        consumer = self.broker.consumer(request.consumer_name, now=now)
        self.broker.unsubscribe(consumer, request.names())
        return ACCEPTED

    def _advance_group(self, request: requests.AdvanceGroup, now: float) -> Outcome:
        time = self.broker.advance_group(request.consumer_group_name, request.seconds, now=now)
        return Outcome(200, _encode({"now": time}))

    def _heartbeat(self, request: requests.NameConsumer, now: float) -> Outcome:
        self.broker.consumer(request.consumer_name, now=now)
        return ACCEPTED

    def _acknowledge(self, request: requests.Settle, now: float) -> Outcome:
        consumer = self.broker.consumer(request.consumer_name, now=now)
        self.broker.settle(consumer, request.number(), commit=True)
        return ACCEPTED

    def _give_back(self, request: requests.Settle, now: float) -> Outcome:
        consumer = self.broker.consumer(request.consumer_name, now=now)
        self.broker.settle(consumer, request.number(), commit=False)
        return ACCEPTED

    def _poll(self, body: bytes, now: float, waiter: Hashable | None) -> Outcome | None:
        request = requests.decode(self._poll_request, body)
        wait = 0.0 if request.wait_seconds is msgspec.UNSET else request.wait_seconds
        limit = 0 if request.max_messages is msgspec.UNSET else request.max_messages
        settings = self.broker.settings
        consumer = self.broker.consumer(request.consumer_name, now=now)
        if wait > settings.wait_seconds:  # POLL-WAIT-4
            raise Refusal(
                "member-value", f"wait_seconds is {settings.wait_seconds:g} at most", "wait_seconds"
            )
        if limit > settings.poll_messages:  # POLL-BATCH-2
            raise Refusal("member-value", f"max_messages is {settings.poll_messages} at most", "max_messages")
        outcome = self._long_polls.hand_out(consumer, limit)
        if outcome is NOTHING and wait and waiter is not None:
            self._long_polls.park(waiter, consumer, limit, wait)
            return None
        return outcome


_PUBLICATIONS = requests.decoder_of(requests.Publish)


def _names(status: int, **names: Any) -> Outcome:
    return Outcome(status, _encode(names))
