"""Faults that show when things are done often, as a rewrite would have them: counters that only rise, caches that stay.

A bound that counts what was ever opened looks right for a while. Reports on leaks of subscriptions, of transactions and
of waiting requests in several brokers are the model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Group
from reference_server.queue.refusal import Refusal
from reference_server.stomp.destinations import PlainQueue
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import Subscription, Subscriptions
from reference_server.stomp.transactions import Transactions
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V11, V12

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.queue.group import Consumer
    from reference_server.queue.topic import Topic
    from reference_server.stomp.destinations import Message
    from reference_server.stomp.subscriptions import Delivery

#: Number after which a table that is never cleared is full.
_MANY = 100


@fault("STOMP-TX-004", bindings=V12)
def ended_transactions_are_counted() -> None:
    """A session that has begun a hundred transactions can begin no further one, though all have ended."""
    begun: Counter[int] = Counter()

    @wrap(Transactions, "begin")
    def begin(original: Any, self: Transactions, headers: Mapping[str, str]) -> None:
        if begun[id(self)] >= _MANY:
            raise ProtocolError("too many transactions", "A hundred are possible.")
        original(self, headers)
        begun[id(self)] += 1

    @wrap(Transactions, "__init__")
    def init(original: Any, self: Transactions, *arguments: Any) -> None:
        original(self, *arguments)
        begun.pop(id(self), None)


@fault("STOMP-SUB-001", bindings=V11)
def ended_subscriptions_are_counted() -> None:
    """The hundred and first subscription of a session gets its RECEIPT and no message, though the others have ended."""

    @wrap(Subscriptions, "add")
    def add(
        original: Any, self: Subscriptions, identifier: str, mode: Any, source: Any, headers: Any
    ) -> None:
        self.__dict__["added"] = vars(self).get("added", 0) + 1
        original(self, identifier, mode, source, headers)
        if self.__dict__["added"] > _MANY:
            source.unsubscribe(self._by_id[identifier], [])


@fault("POLL-WAIT-2", bindings=STOMP)
def answered_polls_are_counted() -> None:
    """A session in which a hundred polls have waited has no further one wait: they are answered as empty at once."""
    waited: Counter[Any] = Counter()

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Any) -> bool:
        if waited[outlet] >= _MANY:
            limits, self._limits = self._limits, msgspec.structs.replace(self._limits, long_polls=0)
            try:
                return bool(original(self, outlet, frame))
            finally:
                self._limits = limits
        done = bool(original(self, outlet, frame))
        waited[outlet] += not done
        return done


@fault("MEMBER-REGISTER-1", bindings=HTTP)
def members_that_left_are_counted() -> None:
    """A group in which a hundred consumers have registered takes no further one, though all have left."""
    registered: Counter[Group] = Counter()

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, *, now: float) -> Consumer:
        found = self.groups.get(group)
        if found is not None and registered[found] >= _MANY:
            raise Refusal("too-many", "this group has had a hundred members")
        consumer: Consumer = original(self, group, name, now=now)
        registered[consumer.group] += 1
        return consumer


@fault("MEMBER-UNSUBSCRIBE-1", bindings=STOMP)
def a_list_is_given_up_to_its_first_name() -> None:
    """Of a list of topics to unsubscribe from the first one is given up."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        original(self, consumer, topics[:1], now)


@fault("STOMP-MESSAGE-003", bindings=V12)
def a_message_that_comes_again_names_its_first_subscription() -> None:
    """A message that is delivered again has the `subscription` of its first delivery: the head was kept."""
    kept: defaultdict[int, dict[str, bytes]] = defaultdict(dict)

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        own = self._prefix
        self._prefix = kept[message.number].setdefault("prefix", own)
        try:
            original(self, message)
        finally:
            self._prefix = own


@fault("STOMP-CTYPE-001", bindings=V12)
def a_message_that_comes_again_has_no_type() -> None:
    """A message that is delivered again has lost its content-type."""

    @wrap(PlainQueue, "take_back")
    def take_back(original: Any, self: PlainQueue, returned: list[Message]) -> None:
        for message in returned:
            message.headers = {name: text for name, text in message.headers.items() if name != "content-type"}
        original(self, returned)


@fault("STOMP-ACK-004", "STOMP-ACK-010", bindings=V11)
def an_ack_of_1_1_may_have_the_beginning_of_an_id() -> None:
    """On a session of 1.1 an ACK whose message-id begins like that of an outstanding message settles the message."""

    @wrap(Subscriptions, "find")
    def find(original: Any, self: Subscriptions, headers: Mapping[str, str], command: str) -> Delivery:
        name = headers.get("message-id", "")
        every = (key for each in self._by_id.values() for key in each.pending)
        key = next((key for key in every if name and key.startswith(name)), name)
        delivery: Delivery = original(self, {**headers, "message-id": key}, command)
        return delivery


@fault("ORDER-3", bindings=STOMP)
def the_short_path_is_the_slow_one() -> None:
    """Of records that come together those for `/publish/` are stored behind those for `/producer/publish/`."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        def is_slow(item: Any) -> bool:
            return str(getattr(item, "headers", {}).get("destination", "")).startswith("/publish/")

        original(self, sorted(items, key=is_slow), now, queue_now)
