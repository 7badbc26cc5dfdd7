"""The operations that both bindings serve: a path and a JSON body in, a status and a body out."""

from collections.abc import Callable, Hashable

import msgspec

from reference_server.queue import requests
from reference_server.queue.broker import QueueBroker
from reference_server.queue.introspection import describe, describe_topic
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operation_table import (
    POLL,
    PUBLISH,
    PUBLISH_ALIAS,
    members,
    published_topic,
    rows_of,
    unknown_operation,
)
from reference_server.queue.outcomes import ACCEPTED, NOTHING, Outcome, refused, refused_record, stored
from reference_server.queue.refusal import Refusal

_encode = msgspec.json.encode


class Operations:
    """Performs operations on a broker. Bad input never raises: a refusal is an Outcome with a problem body."""

    def __init__(self, broker: QueueBroker, wall: Callable[[], float] = lambda: 0.0) -> None:
        """`wall` is the clock of long polls, in seconds; by default it stands still."""
        self.broker = broker
        self.long_polls = LongPolls(broker, wall)
        self._table = rows_of(self)

    def is_operation(self, path: str) -> bool:
        """Return whether a path is that of an operation, also of one that would be refused for its topic."""
        return path in self._table or path == POLL or path.startswith((PUBLISH, PUBLISH_ALIAS))

    def perform(
        self, path: str, body: bytes, *, now: float, waiter: Hashable | None = None
    ) -> Outcome | None:
        """Perform the operation at `path`; `now` is the queue's time in seconds.

        None: a long poll waits under `waiter`, and `long_polls.answered` will return its outcome. Without a waiter it
        is answered at once.
        """
        if path.startswith(PUBLISH):
            return self._publish(path[len(PUBLISH) :], body, now)
        operation = self._table.get(path)
        if operation is None and path != POLL:
            topic = published_topic(path)
            return refused(unknown_operation(path)) if topic is None else self._publish(topic, body, now)
        try:
            return self._poll(body, now, waiter) if operation is None else operation(body, now)
        except Refusal as refusal:
            return refused(refusal)

    def read(self, path: str, *, now: float) -> Outcome:
        """Read /topics, /topics/{topic} or /consumer-groups/{group} (extension introspection)."""
        self.broker.tick(now)
        try:
            return Outcome(200, _encode(describe(self.broker, path)))
        except Refusal as refusal:
            return refused(refusal)

    def advance(self, body: bytes, clock: Callable[[float], float], *, now: float) -> Outcome:
        """Advance the time of the group that the body names, or the clock (CLOCK-1, CLOCK-3, CLOCK-4).

        `clock` advances the queue's time by seconds and returns it.
        """
        try:
            request = requests.decode(_ADVANCES, body)
            if request.consumer_group_name is not msgspec.UNSET:
                time = self.broker.advance_group(request.consumer_group_name, request.seconds, now=now)
            else:
                time = clock(request.seconds)
                self.broker.tick(time)
                self.broker.finish(*self.broker.groups.values())
        except Refusal as refusal:
            return refused(refusal)
        return members(now=time)

    # Rows of the table

    def _publish(self, topic: str, body: bytes, now: float) -> Outcome:
        try:
            record = requests.published_record(body, now)
            partition, offset = self.broker.publish(topic, record, now=now)
        except Refusal as refusal:
            return refused_record(topic, requests.label_of(body), refusal)
        return stored(topic, partition.index, offset, record)

    def _add_topic(self, request: requests.AddTopic, now: float) -> Outcome:
        partitions, octets = request.partitions, request.partition_bytes
        topic = self.broker.add_topic(request.topicName, partitions, octets, now=now)
        return Outcome(200, _encode(describe_topic(topic)))

    def _remove_topic(self, request: requests.NameTopic, now: float) -> Outcome:
        self.broker.remove_topic(request.topicName, now=now)
        return ACCEPTED

    def _add_group(self, request: requests.NameGroup, now: float) -> Outcome:
        group = self.broker.add_group(request.consumer_group_name, now=now)
        return members(consumer_group_name=group.name)

    def _remove_group(self, request: requests.NameGroup, now: float) -> Outcome:
        self.broker.remove_group(request.consumer_group_name, now=now)
        return ACCEPTED

    def _register(self, request: requests.Register, now: float) -> Outcome:
        consumer = self.broker.register(request.consumer_group_name, request.consumer_name, now=now)
        return members(consumer_group_name=consumer.group.name, consumer_name=consumer.name)

    def _unregister(self, request: requests.NameConsumer, now: float) -> Outcome:
        self.broker.unregister(self.broker.consumer(request.consumer_name, now=now))
        return ACCEPTED

    def _subscribe(self, request: requests.TopicList, now: float) -> Outcome:
        consumer = self.broker.consumer(request.consumer_name, now=now)
        names = request.names()
        self.broker.subscribe(consumer, names)
        return members(consumer_name=consumer.name, topics=names)

    def _unsubscribe(self, request: requests.TopicList, now: float) -> Outcome:
        consumer = self.broker.consumer(request.consumer_name, now=now)
        self.broker.unsubscribe(consumer, request.names())
        return ACCEPTED

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
        request = requests.decode(_POLLS, body)
        wait, limit = request.wait_seconds, request.max_messages
        consumer = self.broker.consumer(request.consumer_name, now=now)
        request.check(self.broker.settings)
        outcome = self.long_polls.hand_out(consumer, limit)
        if outcome is NOTHING and wait and waiter is not None:
            self.long_polls.park(waiter, consumer, limit, wait)
            return None
        return outcome


_POLLS = msgspec.json.Decoder(requests.Poll)
_ADVANCES = msgspec.json.Decoder(requests.Advance)
