"""Faults of a second rewrite that show in the shape of a request, or in a description that is a little out of date.

They were written when the suite had been mended for the others of this kind, to see what it had learnt.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.queue.requests import TopicList
from reference_server.server.requests import RequestReader
from reference_server.server.websocket import Channel
from reference_server.stomp.destinations import Broadcast
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import Delivery, Subscriptions
from reference_server.stomp.transactions import Transactions
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V11, V12, WEBSOCKET, edit_headers, edit_lines, wrap_action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Topic


# Requests


@fault("HTTP-POST-1", bindings=HTTP)
def a_body_comes_with_its_head() -> None:
    """A body is read as far as it came with its head; octets that come later are lost."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        if self._head_is_whole and self._head_octets and not self.wants_continue:
            self._refusal = None
            data = b" " * len(data)
        return original(self, data, now)


@fault("HTTP-POST-1", bindings=HTTP)
def a_head_comes_in_one_piece() -> None:
    """A head that is cut between two segments is malformed."""

    @wrap(RequestReader, "feed")
    def feed(original: Any, self: RequestReader, data: bytes, now: float) -> Any:
        answer = original(self, data, now)
        if not self._head_is_whole and not self.is_between_requests and self._headers:
            self._head_is_whole = True
            return original(self, b"\0", now)
        return answer


@fault("HTTP-CHUNKED-1", bindings=HTTP)
def a_chunk_comes_in_one_piece() -> None:
    """A chunk that is cut between two segments loses what comes later."""

    @wrap(RequestReader, "on_body")
    def on_body(original: Any, self: RequestReader, part: bytes) -> None:
        known = len(self._body)
        original(self, part)
        if "transfer-encoding" in self._fields and known and len(part) < 3:
            self._body.pop()


@fault("HTTP-HEAD-1", bindings=HTTP)
def a_head_has_a_body() -> None:
    """The answer to HEAD has the body of GET, so that the next answer of the connection is out of step."""
    from reference_server.server import connection

    @wrap(connection, "write")
    def write(original: Any, response: Outcome, **named: Any) -> bytes:
        octets: bytes = original(response, **{**named, "with_body": True})
        return octets


@fault("WEBSOCKET-UPGRADE-1", bindings=WEBSOCKET)
def an_upgrade_is_the_first_request() -> None:
    """An upgrade behind another request on its connection is declined."""

    @wrap(RequestReader, "on_headers_complete")
    def complete(original: Any, self: RequestReader) -> None:
        original(self)
        if self._is_upgrade and self._has_served:
            self._is_upgrade, self._is_declined = False, True


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_mask_of_zeros_is_none() -> None:
    """A frame whose mask is zero closes the connection as one without a mask."""

    @wrap(Channel, "receive")
    def receive(original: Any, self: Channel, data: bytes) -> bytes | None:
        if len(data) > 6 and data[0] in (0x81, 0x82) and data[1] & 127 < 126 and data[2:6] == bytes(4):
            data = bytes([data[0], data[1] & 127]) + data[6:]
        result: bytes | None = original(self, data)
        return result


# Lists, names and groups


@fault("MEMBER-SUBSCRIBE-1", "MEMBER-SUBSCRIBE-2", bindings=HTTP)
def a_list_has_1024_octets() -> None:
    """The octets of a `topic_list` behind the first 1,024 are cut off."""

    @wrap(TopicList, "names")
    def listed(original: Any, self: TopicList) -> list[str]:
        if len(self.topic_list) > 1024:
            self.topic_list = self.topic_list[:1024].rpartition(",")[0]
        found: list[str] = original(self)
        return found


@fault("MEMBER-UNSUBSCRIBE-1", "REBALANCE-1", bindings=STOMP)
def who_gives_up_its_last_topic_keeps_its_place() -> None:
    """A member that unsubscribes from its last topic still counts when partitions are dealt: shares stay too small."""
    ghosts: dict[tuple[Group, str], Consumer] = {}
    from reference_server.queue import group as groups

    right = groups.assign

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        if len(consumer.topics) == 1 and len(self.members) > 2:
            ghosts[self, next(iter(consumer.topics))] = consumer
        original(self, consumer, topics, now)

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        ghost = ghosts.get((self, topic))
        if ghost is not None and ghost.name in self.members and topic not in ghost.topics:

            def assign(owners: Any, members: Any) -> Any:
                dealt = right(owners, [*members, ghost])
                return [None if each is ghost else each for each in dealt]

            groups.assign = assign
        original(self, topic, now)
        groups.assign = right


@fault("LIVE-GONE-4", "MEMBER-REGISTER-1", bindings=HTTP)
def a_name_may_be_registered_three_times() -> None:
    """A name that was registered and given up three times is taken for ever: an epoch of two bits."""
    used: defaultdict[str, int] = defaultdict(int)

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group: str, name: str, *, now: float) -> Consumer:
        if used[name] > 2:
            raise Refusal("consumer-exists", f"a consumer {name!r} is registered", "consumer_name")
        consumer: Consumer = original(self, group, name, now=now)
        used[name] += 1
        return consumer


@fault("ACK-COMMIT-1", "MEMBER-UNSUBSCRIBE-4", bindings=HTTP)
def offsets_are_written_down_by_polls() -> None:
    """The last acknowledgement before a rebalance is lost if its consumer has not polled since."""
    pending: dict[Cursor, int] = {}

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        before = self.committed
        original(self, commit=commit)
        if commit:
            pending[self] = before

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        for cursor in consumer.assigned:
            pending.pop(cursor, None)
        return original(self, consumer)

    @wrap(Cursor, "pass_to")
    def pass_to(original: Any, self: Cursor, consumer: Consumer | None) -> None:
        if consumer is not self.owner and self in pending:
            self.committed = pending.pop(self)
        original(self, consumer)


# Descriptions


@fault("INTRO-GROUP-1", bindings=HTTP)
def what_is_in_flight_is_told_too_long() -> None:
    """`inFlight` has the record that an evicted or unsubscribed member held, until the next poll of the partition."""
    last: dict[Cursor, int] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        found: tuple[int, bool] = original(self)
        last[self] = found[0]
        return found

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        original(self, consumer, number, commit=commit)
        if cursor is not None:
            last.pop(cursor, None)

    @wrap(introspection, "describe_cursor")
    def describe(original: Any, cursor: Cursor) -> dict[str, Any]:
        return {**original(cursor), "inFlight": last.get(cursor)}


@fault("INTRO-GROUP-1", bindings=HTTP)
def a_description_is_kept_for_a_moment() -> None:
    """The description of a group is up to a fifth of a second old."""
    kept: dict[str, tuple[float, dict[str, Any]]] = {}

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        at, document = kept.get(group.name, (0.0, {}))
        if time.monotonic() - at > 0.2:
            document = original(group)
            kept[group.name] = time.monotonic(), document
        return document


@fault("INTRO-TOPIC-1", bindings=HTTP)
def end_offsets_count_refused_records() -> None:
    """The end offset of a partition counts records that were refused for want of room."""
    refused: defaultdict[Any, int] = defaultdict(int)

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Any, *, now: float) -> Any:
        try:
            return original(self, name, record, now=now)
        except Refusal as refusal:
            if refusal.cause == "partition-full":
                refused[self.topics[name].partition_for(record.key)] += 1
            raise

    @wrap(introspection, "describe_topic")
    def describe(original: Any, topic: Topic) -> dict[str, Any]:
        document: dict[str, Any] = original(topic)
        for told, partition in zip(document["partitions"], topic.partitions, strict=True):
            told["endOffset"] += refused[partition]
        return document


@fault("INTRO-GROUP-1", bindings=HTTP)
def one_topic_of_a_group_is_described() -> None:
    """The assignment in the description of a group has the partitions of the topic that was joined last."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        last = next(reversed(group.cursors), "")
        return {**document, "assignment": [row for row in document["assignment"] if row["topicName"] == last]}


# Sessions


@fault("STOMP-RECEIPT-001", bindings=V11)
def an_empty_receipt_of_a_subscribe_is_none() -> None:
    """A SUBSCRIBE or COMMIT whose receipt is empty gets no RECEIPT."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        is_odd = frame.command in ("SUBSCRIBE", "COMMIT") and frame.headers.get("receipt") == ""
        return {k: v for k, v in frame.headers.items() if k != "receipt"} if is_odd else frame.headers

    edit_headers(edit)


@fault("STOMP-ACK-002", bindings=V12)
def an_ack_id_is_a_number() -> None:
    """The value of `ack` has a zero in front in one of sixteen messages, and has to come back without it."""

    def edit(lines: list[bytes]) -> list[bytes]:
        return [
            line[:4] + b"0" + line[4:] if line.startswith(b"ack:") and line.endswith(b"7") else line
            for line in lines
        ]

    edit_lines("MESSAGE", edit)


@fault("STOMP-TX-004", "STOMP-TX-012", bindings=V12)
def a_transaction_ends_with_the_subscription() -> None:
    """An UNSUBSCRIBE of the session empties its open transactions."""

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        for each in self._transactions._open.values():
            each.steps.clear()
        return done


@fault("STOMP-SUB-012", "STOMP-ACK-001", bindings=V11)
def an_individual_ack_of_the_newest_covers_all() -> None:
    """In mode client-individual an ACK of the newest of five messages or more settles all of them."""

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        pending = delivery.subscription.pending
        if consumed and len(pending) > 4 and next(reversed(pending.values())) is delivery:
            for each in tuple(pending.values()):
                original(self, each, consumed=True)
            return
        original(self, delivery, consumed=consumed)


@fault("STOMP-SUB-005", "STOMP-SUB-002", bindings=V12)
def an_id_is_in_use_in_its_transaction_only() -> None:
    """A second SUBSCRIBE with an id in use is taken while a transaction of the session is open."""

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        session = self.outlet
        if isinstance(session, Session) and session._transactions._open:
            known = self._by_id.pop(headers.get("id", ""), None)
            if known is not None:
                self._end(known)
        return original(self, headers)


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def an_empty_correlation_is_none() -> None:
    """A reply has no correlation-id if that of its SEND was empty."""

    @wrap(QueueBinding, "_reply")
    def reply(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> Any:
        if address.correlation == "":
            address.correlation = None
        return original(self, address, outcome)


@fault("PUB-ACK-1", bindings=STOMP)
def a_listener_that_leaves_takes_its_neighbour_along() -> None:
    """When one of several subscriptions to the acknowledgements of a topic ends, the newest other one gets no more."""

    @wrap(Broadcast, "unsubscribe")
    def unsubscribe(original: Any, self: Broadcast, subscriber: Any, unsettled: Any) -> None:
        original(self, subscriber, unsettled)
        if isinstance(self._key, str) and self._key.startswith("/topic/ack") and len(self._subscribers) > 1:
            self._subscribers.popitem()


@fault("STOMP-TX-009", "STOMP-ERROR-009", bindings=V11)
def a_transaction_of_the_last_name_may_be_left_out() -> None:
    """A SEND in a transaction that has ended is sent at once: its name is still known."""
    ended: dict[Session, set[str]] = defaultdict(set)

    @wrap_action("COMMIT", "ABORT")
    def end(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        ended[self].add(frame.headers.get("transaction", ""))
        return done

    @wrap(Transactions, "add")
    def add(original: Any, self: Transactions, name: str, step: Any, octets: int) -> None:
        try:
            original(self, name, step, octets)
        except ProtocolError:
            session = next((each for each, names in ended.items() if name in names), None)
            if session is None or session._transactions is not self or not isinstance(step, Frame):
                raise
            session.hub.router.send(session, step)


@fault("POLL-WAIT-4", bindings=HTTP)
def a_wait_may_be_a_list() -> None:
    """`wait_seconds` that is an empty list or object waits for no time."""

    @wrap(Operations, "_poll")
    def poll(original: Any, self: Operations, body: bytes, *more: Any) -> Any:
        document = as_object(body) or {}
        if document.get("wait_seconds") in ([], {}):
            del document["wait_seconds"]
            body = msgspec.json.encode(document)
        return original(self, body, *more)
