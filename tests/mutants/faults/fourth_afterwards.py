"""Faults of a second draw after the fourth rewrite: pools that are used again, bounds of tables, work that is put off.

Their models are buffers that are pooled, threads that share one connection, and stores that write late.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.server.application import Application
from reference_server.server.http import HttpBinding
from reference_server.stomp.destinations import Message, PlainQueue
from reference_server.stomp.frame import Frame
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import AckMode, Subscription, Subscriptions
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V12, edit_output, wrap_action

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Topic
    from reference_server.stomp.session import Parsed

#: Seconds between two readings of one state.
_GAP = 0.002


# Groups


@fault("ACK-COMMIT-1", "MEMBER-UNSUBSCRIBE-4", bindings=HTTP)
def what_is_acknowledged_while_another_is_held_is_kept_by_the_member() -> None:
    """Commits of a member that holds records of other partitions are written down when it holds none; if it leaves
    before, they are lost.
    """
    kept: dict[Consumer, dict[Cursor, int]] = {}

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        if cursor is not None and commit:
            kept.setdefault(consumer, {}).setdefault(cursor, cursor.committed)
        original(self, consumer, number, commit=commit)
        if not consumer.held:
            kept.pop(consumer, None)

    @wrap(Group, "_release")
    def release(original: Any, self: Group, consumer: Consumer, topic: str) -> None:
        original(self, consumer, topic)
        for cursor, committed in kept.pop(consumer, {}).items():
            if cursor.in_flight is None:
                cursor.committed = min(cursor.committed, committed)


@fault("MEMBER-SUBSCRIBE-1", "ASSIGN-1", bindings=HTTP)
def who_was_evicted_in_a_rebalance_blocks_the_next() -> None:
    """Partitions that waited for a holder that was evicted meanwhile are nobody's until the next subscription."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        moving = {cursor: cursor.owner for cursor in self.all_cursors() if cursor.next_owner and cursor.owner}
        silent: list[Consumer] = original(self, now)
        for cursor, owner in moving.items():
            if owner in silent and cursor.owner is not None and cursor.in_flight is None:
                cursor.pass_to(None)
        return silent


@fault("ASSIGN-2", "REBALANCE-1", bindings=HTTP)
def the_ninth_member_stands_by() -> None:
    """Partitions of a topic are dealt out to the first eight members that subscribe to it."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        surplus = [member for member in self.members.values() if topic in member.topics][8:]
        for member in surplus:
            del member.topics[topic]
        original(self, topic, now)
        for member in surplus:
            member.topics[topic] = None


@fault("ISOLATE-1", "ACK-COMMIT-1", bindings=HTTP)
def an_offset_is_that_of_the_last_group_with_its_members_name() -> None:
    """A consumer that registers under a name that was used in another group takes over that group's offsets."""
    groups: dict[str, Group] = {}

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        fresh = [topic.name for topic in topics if topic.name not in self.cursors]
        original(self, consumer, topics, now)
        before = groups.get(consumer.name)
        groups[consumer.name] = self
        for name in fresh if before is not None and before is not self else ():
            for mine, theirs in zip(self.cursors[name], before.cursors.get(name, ()), strict=False):
                if mine.in_flight is None:
                    mine.committed = mine.handed = theirs.committed


@fault("LIVE-KEEP-1", "CLOCK-3", bindings=HTTP)
def a_subscription_sets_the_silence_of_all_members() -> None:
    """A subscription copies the last sign of life of the new member to the others, also if theirs is later."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        first = min((member.seen for member in self.members.values()), default=now)
        original(self, consumer, topics, now)
        for member in self.members.values():
            if member is not consumer:
                member.seen = first


@fault("REBALANCE-2", "DELIVER-3", bindings=HTTP)
def a_refused_acknowledgement_lets_a_partition_move() -> None:
    """A partition that waits for its holder moves when that holder's acknowledgement of another id is refused."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal:
            for cursor in list(consumer.held.values()):
                if cursor.next_owner is not None:
                    cursor.settle(commit=False)
            raise


# Polls


@fault("POLL-FAIR-1", "POLL-OK-1", bindings=HTTP)
def an_empty_poll_puts_a_partition_aside() -> None:
    """A partition in which a poll found nothing is passed over by the next poll of its owner."""
    aside: dict[Consumer, int] = {}

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        if aside.pop(self, 0):
            return None
        found: Cursor | None = original(self)
        if found is None and self.held:
            aside[self] = 1
        return found


@fault("POLL-WAIT-1", "DELIVER-1", bindings=HTTP)
def a_wait_looks_at_the_topics_that_it_began_with() -> None:
    """A wait is not woken by topics to which its consumer was subscribed after it had begun."""
    began: dict[Consumer, set[str]] = {}

    @wrap(LongPolls, "park")
    def park(original: Any, self: LongPolls, waiter: Hashable, consumer: Consumer, *more: Any) -> None:
        began[consumer] = set(consumer.topics)
        original(self, waiter, consumer, *more)

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        owner = self.owner
        if owner is not None and owner.waiting and self.partition.topic not in began.get(owner, set()):
            return False
        return bool(original(self))


@fault("POLL-BATCH-1", "POLL-FAIR-1", bindings=HTTP)
def a_batch_names_its_first_topic_everywhere() -> None:
    """All records of a batch tell the topic of its first record."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, limit)
        document = as_object(outcome.body) or {}
        records = document.get("records")
        if isinstance(records, list):
            for each in records:
                each["message"]["topicName"] = records[0]["message"]["topicName"]
            return msgspec.structs.replace(outcome, body=msgspec.json.encode(document))
        return outcome


@fault("PUB-TEXT-1", "POLL-BATCH-1", bindings=HTTP)
def a_record_without_a_key_has_the_key_before_it_in_a_batch() -> None:
    """A record without a key that comes in a batch behind one with a key has that key."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, limit)
        document = as_object(outcome.body) or {}
        records = document.get("records")
        if not isinstance(records, list):
            return outcome
        last = None
        for each in records:
            last = each["message"]["key"] = each["message"]["key"] or last
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(document))


# Bindings


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def a_correlation_is_that_of_the_last_that_had_one() -> None:
    """The reply to an operation without a `correlation-id` repeats that of the one before."""
    last: dict[Any, str] = {}

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Frame) -> bool:
        headers = frame.headers
        if "correlation-id" in headers:
            last[outlet] = headers["correlation-id"]
        elif outlet in last:
            frame = msgspec.structs.replace(frame, headers={**headers, "correlation-id": last[outlet]})
        return bool(original(self, outlet, frame))


@fault("QSTOMP-QUIET-1", "QSTOMP-RECEIPT-2", bindings=STOMP)
def a_refused_wait_ends_its_session() -> None:
    """A poll that waits and is refused since its consumer has gone ends its session, though it has no receipt."""

    @wrap(QueueBinding, "answer_late")
    def answer_late(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        original(self, address, outcome)
        if outcome.status >= 400:
            address.outlet.fail("operation refused")


@fault("HTTP-PIPE-1", "HTTP-KEEP-1", bindings=HTTP)
def a_request_behind_a_refused_one_is_dropped() -> None:
    """A connection ends after a refusal with status 404 or 409."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Any, transport: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, request, transport)
        if outcome is not None and outcome.status in (404, 409):
            request.keep_alive = False
        return outcome


@fault("ATOMIC-1", "PUB-POSITION-1", "PUB-STORE-1", bindings=HTTP)
def two_records_at_once_are_told_one_offset() -> None:
    """The offset in a reply is read before the record is stored: two at once get the same one."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, path: str, body: bytes, waiter: Any) -> Outcome | None:
        topic = self._broker.topics.get(path.removeprefix("/producer/publish/"))
        before = [partition.end for partition in topic.partitions] if topic is not None else []
        if before:
            time.sleep(_GAP)
        outcome: Outcome | None = original(self, path, body, waiter)
        document = as_object(outcome.body) if outcome is not None and outcome.status == 200 else None
        if outcome is None or document is None or not before or "partition" not in document:
            return outcome
        document["offset"] = before[document["partition"]]
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(document))


# Sessions


@fault("STOMP-SUB-017", "STOMP-SUB-016", "STOMP-ACK-001", bindings=V12)
def what_is_given_back_goes_to_all_that_wait() -> None:
    """A message of a queue that comes back goes to each of the subscriptions that are there."""

    @wrap(PlainQueue, "take_back")
    def take_back(original: Any, self: PlainQueue, returned: list[Message]) -> None:
        others = list(self._ready)[1:] if len(self._ready) > 1 else []
        copies = list(returned)
        original(self, returned)
        for each in others:
            for message in copies:
                if each.can_take():
                    each.deliver(message)


@fault("STOMP-ACK-002", "STOMP-SUB-010", bindings=V12)
def an_ack_of_an_older_message_is_refused() -> None:
    """In mode `client-individual` an ACK of an older message than the last one that was acknowledged is unknown."""
    last: dict[Subscription, int] = {}

    @wrap(Subscriptions, "find")
    def find(original: Any, self: Subscriptions, headers: Any, command: str) -> Any:
        delivery = original(self, headers, command)
        subscription = delivery.subscription
        if subscription.mode is AckMode.INDIVIDUAL and command == "ACK":
            if delivery.number < last.get(subscription, 0):
                return original(self, {**headers, "id": "none"}, command)
            last[subscription] = delivery.number
        return delivery


@fault("STOMP-RECEIPT-001", "STOMP-TX-013", bindings=V12)
def an_abort_takes_the_receipts_of_other_transactions_along() -> None:
    """The frame behind an ABORT gets no RECEIPT."""
    aborted: set[Session] = set()

    @wrap_action("ABORT")
    def abort(original: Any, self: Session, frame: Frame) -> bool:
        aborted.add(self)
        return bool(original(self, frame))

    @wrap(Session, "_process")
    def process(original: Any, self: Session, frame: Frame) -> None:
        was = self in aborted
        aborted.discard(self)
        if was and frame.command in ("BEGIN", "SUBSCRIBE", "UNSUBSCRIBE"):
            frame = msgspec.structs.replace(
                frame, headers={name: value for name, value in frame.headers.items() if name != "receipt"}
            )
        original(self, frame)


@fault("STOMP-CLEN-003", "STOMP-ABNF-001", bindings=V12)
def the_length_of_a_message_that_comes_again_is_the_first() -> None:
    """A MESSAGE that comes again has one octet more in its `content-length` than its body."""

    def edit(_session: Session, data: bytes) -> bytes:
        head, empty, body = data.partition(b"\n\n")
        if b"\nredelivered:true" in head:
            count = len(body) - 1
            head = head.replace(b"content-length:%d" % count, b"content-length:%d" % (count + 1))
        return head + empty + body

    edit_output("MESSAGE", edit)


@fault("STOMP-ERROR-002", "STOMP-SEND-002", bindings=V12)
def the_frames_before_a_refused_one_wait_for_it() -> None:
    """SENDs that come in one piece with a refused frame behind them are dropped with it."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: Parsed, *times: float) -> None:
        bad = [
            item
            for item in items
            if not isinstance(item, Frame) or (item.command == "SEND" and "destination" not in item.headers)
        ]
        if bad and len(items) > 1:
            items = [item for item in items if item in bad or getattr(item, "command", "") != "SEND"]
        original(self, items, *times)


@fault("TOPIC-ADD-2", "PUB-FULL-1", "REFUSE-1", bindings=HTTP)
def adding_a_topic_again_sets_its_bound() -> None:
    """A topic that is added again keeps its partitions, and gets the bound of the refused request."""

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, partitions: int, octets: int, *, now: float) -> Any:
        if name in self.topics and octets:
            self.topics[name].partition_bytes = octets
        return original(self, name, partitions, octets, now=now)


@fault("MEMBER-UNSUBSCRIBE-2", "REFUSE-1", bindings=HTTP)
def a_refused_list_is_given_up_to_its_unknown_topic() -> None:
    """Of a list with an unknown topic what is before that is given up when the consumer holds nothing of it."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        known = []
        for name in names:
            if name not in self.topics:
                break
            known.append(name)
        if len(known) < len(names):
            held = {cursor.partition.topic for cursor in consumer.held.values()}
            original(self, consumer, [name for name in known if name not in held])
        original(self, consumer, names)


@fault("REFUSE-5", "PUB-BODY-1", bindings=HTTP)
def a_member_of_the_prototype_counts() -> None:
    """A required member that is missing is taken out of a member `__proto__`."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        document = as_object(body)
        if document is not None and isinstance(document.get("__proto__"), dict):
            body = msgspec.json.encode({**document["__proto__"], **document})
        outcome: Outcome | None = original(self, path, body, **named)
        return outcome
