"""Faults that the suite caught in a broker written from the text, but reported on a clause that they don't break.

Each is judged by all classes of the server at once, as users judge theirs, since only there one clause can take the
blame for another.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.server.application import Application
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS
from reference_server.stomp.subscriptions import Subscription
from reference_server.stomp.transactions import Transactions
from tests.mutants.faults import (
    queue_acknowledging,
    queue_assignment,
    queue_evictions,
    queue_producers,
    queue_refusals,
    stomp_sending,
)
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V12

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.queue.topic import Partition, Record, Topic
    from reference_server.stomp.destinations import Message

#: Seconds for which a record that is stored late stays away.
_LATE = 0.05
#: Number of records of a partition after which one is lost or stored twice.
_TENTH = 10


# Delivery and acknowledgement


@fault("DELIVER-2", "NACK-AGAIN-1", bindings=HTTP, scope="server")
def what_is_delivered_is_committed() -> None:
    """A record counts as acknowledged from its delivery on, so that what a lost consumer held never comes again."""

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        del commit
        original(self, commit=True)


@fault("PUB-STORE-1", "DELIVER-1", bindings=HTTP, scope="server", hard=True)
def a_record_is_stored_after_the_reply() -> None:
    """A publish over HTTP is answered at once, and its record can be polled a twentieth of a second later."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, path: str, body: bytes, waiter: Any) -> Any:
        broker = self._broker
        before = {
            topic.name: [len(partition.records) for partition in topic.partitions]
            for topic in broker.topics.values()
            if path.endswith(f"publish/{topic.name}")
        }
        outcome = original(self, path, body, waiter)
        for name, lengths in before.items():
            for partition, length in zip(broker.topics[name].partitions, lengths, strict=True):
                if len(partition.records) > length:
                    _hide(self, partition)
        return outcome

    def _hide(application: Application, partition: Partition) -> None:
        with application._lock:
            hidden[partition] = hidden.get(partition, 0) + 1

        def show() -> None:
            with application._turn():
                hidden[partition] -= 1

        threading.Timer(_LATE, show).start()

    hidden: dict[Partition, int] = {}

    @replace(Cursor, "is_ready")
    def is_ready(self: Cursor) -> bool:
        visible = len(self.partition.records) - hidden.get(self.partition, 0)
        return self.in_flight is None and self.committed < visible


@fault("PUB-ACK-5", bindings=STOMP, scope="server", hard=True)
def ack_is_sent_before_the_record_is_stored() -> None:
    """ACK is sent on arrival of a record, which is stored a moment later."""
    queue_producers.a_record_is_acknowledged_before_it_is_stored()


@fault("ACK-COMMIT-1", "DELIVER-3", "PUB-POSITION-1", bindings=HTTP, scope="server")
def every_tenth_record_is_stored_twice() -> None:
    """Every tenth record of a partition is stored twice in a row."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        placed: tuple[Partition, int] = original(self, name, record, **named)
        partition, offset = placed
        if offset % _TENTH == _TENTH - 1:
            partition.records.append(record)
            partition.ids.append(self._next_id)
            self._next_id += 1
        return placed


@fault("DELIVER-1", "PUB-STORE-1", "ORDER-1", bindings=HTTP, scope="server")
def every_tenth_record_is_lost() -> None:
    """Every tenth record of a partition is answered as the others, and never handed out."""

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if self.in_flight is None and self.committed % _TENTH == _TENTH - 1:
            self.committed += self.committed < len(self.partition.records)
        return bool(original(self))


@fault("DELIVER-1", "PUB-STORE-1", "POLL-OK-1", bindings=HTTP, scope="server")
def the_second_of_two_records_is_lost() -> None:
    """Each second record of a partition is answered as the first, and never handed out."""

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if self.in_flight is None and self.committed % 2:
            self.committed += self.committed < len(self.partition.records)
        return bool(original(self))


@fault("ACK-COMMIT-1", bindings=HTTP, scope="server", effort="standard", hard=True)
def an_acknowledgement_in_two_hundred_is_forgotten() -> None:
    """Now and then an acknowledgement is answered 202, and its record is delivered again."""
    queue_acknowledging.one_acknowledgement_in_two_hundred_commits_nothing()


# Members


@fault("MEMBER-UNSUBSCRIBE-1", "MEMBER-SUBSCRIBE-1", bindings=HTTP, scope="server")
def unsubscribing_ends_all_subscriptions() -> None:
    """Unsubscribing from one topic ends the subscriptions of the consumer to all topics."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        original(self, consumer, topics, now)
        for name in sorted(consumer.topics):
            del consumer.topics[name]
            self._release(consumer, name)
            self.rebalance(name, now)


@fault("MEMBER-UNSUBSCRIBE-1", "LIVE-BEAT-1", bindings=HTTP, scope="server")
def unsubscribing_ends_the_registration() -> None:
    """A consumer that unsubscribes from a topic is no longer registered."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Any) -> None:
        original(self, consumer, names)
        self.unregister(consumer)


@fault("MEMBER-UNSUBSCRIBE-4", "DELIVER-2", "ACK-COMMIT-1", bindings=HTTP, scope="server")
def unsubscribing_forgets_what_the_group_has_read() -> None:
    """When a consumer unsubscribes, the offsets of its group in that topic go back to the oldest record."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        original(self, consumer, topics, now)
        for topic in topics:
            for cursor in self.cursors.get(topic.name, ()):
                if cursor.in_flight is None:
                    cursor.committed = 0


@fault("ASSIGN-1", "DELIVER-3", "ORDER-2", bindings=HTTP, scope="server")
def a_partition_has_two_owners() -> None:
    """A consumer without partitions gets a free record from another consumer's partition."""
    queue_assignment.idle_consumers_take_from_busy_ones()


@fault("REBALANCE-1", "ASSIGN-1", bindings=HTTP, scope="server")
def nobody_owns_what_an_evicted_member_owned() -> None:
    """An eviction leaves the member's partitions without an owner until the next subscription or departure."""
    queue_assignment.an_eviction_leaves_partitions_alone()


@fault("REBALANCE-5", bindings=HTTP, scope="server")
def a_partition_waits_for_its_holder_without_end() -> None:
    """A partition that has to move waits without limit for its record in flight to be settled."""
    queue_assignment.what_is_held_is_never_taken_back()


@fault("LIVE-EVICT-1", bindings=HTTP, scope="server", hard=True)
def silence_is_no_reason_to_evict() -> None:
    """A silent consumer is never evicted."""
    queue_evictions.nobody_is_evicted()


@fault("LIVE-KEEP-1", bindings=HTTP, scope="server")
def silence_counts_twice() -> None:
    """A consumer is evicted after half of the timeout."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> Any:
        settings = self.settings
        self.settings = msgspec.structs.replace(settings, heartbeat_timeout=settings.heartbeat_timeout / 2)
        try:
            return original(self, now)
        finally:
            self.settings = settings


@fault("REFUSE-4", bindings=HTTP, scope="server")
def what_the_server_does_not_know_is_refused() -> None:
    """A body with an unknown member is refused."""
    queue_refusals.unknown_members_are_refused()


# STOMP


@fault("PUB-ACK-1", "PUB-ACK-2", "PUB-ACK-8", bindings=STOMP, scope="server")
def a_session_is_acknowledged_once() -> None:
    """Of all records of a session's topic the first one is acknowledged to a subscription, and no other."""
    told: set[Subscription] = set()

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        if self.destination.startswith(ACKNOWLEDGEMENTS):
            if self in told:
                return
            told.add(self)
        original(self, message)


@fault("PUB-ACK-1", "PUB-ACK-2", "PUB-ACK-8", bindings=STOMP, scope="server")
def a_session_has_one_subscription_to_acknowledgements() -> None:
    """Of the subscriptions of one session to acknowledgements only the first one gets any."""
    firsts: dict[Any, Subscription] = {}

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        if self.destination.startswith(ACKNOWLEDGEMENTS):
            first = firsts.setdefault(self._outlet, self)
            if first is not self:
                return
        original(self, message)


@fault("STOMP-TX-010", bindings=V12, scope="server")
def connections_share_their_transactions() -> None:
    """Transactions are kept by their names alone: those of other connections can be used, ended, and are in the way."""
    shared: dict[str, Any] = {}
    owners: dict[str, Transactions] = {}

    @wrap(Transactions, "__init__")
    def begin(original: Any, self: Transactions, *bounds: Any) -> None:
        original(self, *bounds)
        self._open = shared

    @wrap(Transactions, "begin")
    def open_one(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        original(self, headers)
        owners[headers["transaction"]] = self

    @replace(Transactions, "clear")
    def clear(self: Transactions) -> None:
        for name in [name for name, owner in owners.items() if owner is self]:
            shared.pop(name, None)
            del owners[name]


@fault("STOMP-MESSAGE-002", bindings=V12, scope="server")
def ids_of_messages_wrap() -> None:
    """The message-id is a number of one octet: the 257th message has the id of the first one."""
    stomp_sending.ids_of_messages_have_one_octet()
