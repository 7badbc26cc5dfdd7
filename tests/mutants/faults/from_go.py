"""Faults that only a broker in Go had shown: of text, of groups without readers, of frames behind refused ones.

Their model is a broker written in Go from the text alone.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.operations import Operations
from reference_server.server import connection, websocket
from reference_server.server.http import HttpBinding
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.outlet import size_of
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, QueueBinding
from reference_server.stomp.session import Session
from tests.mutants.editing import as_object, topic_of
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V12

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Record, Topic
    from reference_server.server.requests import Request

_WEBSOCKET = ("websocket",)


# Records


@fault("PUB-TEXT-1", "PUB-STORE-1", bindings=HTTP)
def a_genuine_replacement_character_is_refused() -> None:
    """A record whose message holds U+FFFD is refused, as if its octets had not been UTF-8."""

    @wrap(Operations, "_publish")
    def publish(original: Any, self: Operations, topic: str, body: bytes, now: float) -> Any:
        message = (as_object(body) or {}).get("message")
        is_refused = isinstance(message, str) and "\ufffd" in message
        return original(self, topic, b"not JSON" if is_refused else body, now)


@fault("PUB-TEXT-1", bindings=HTTP)
def messages_are_cut_at_64_kib() -> None:
    """Messages of records are cut at 65,536 octets."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic: str, record: Record, *, now: float) -> Any:
        cut = record.message.encode()[:65_536].decode(errors="ignore")
        return original(self, topic, msgspec.structs.replace(record, message=cut), now=now)


@fault("PUB-ACK-3", bindings=STOMP)
def failed_for_an_unknown_topic_goes_to_one_spelling() -> None:
    """FAILED for a topic that does not exist goes to the subscriptions of the first spelling only."""

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, acknowledgement: Any) -> None:
        every = self._acknowledgements
        if acknowledgement.topic not in self._operations.broker.topics:
            second = ACKNOWLEDGEMENTS[1]
            self._acknowledgements = {name: to for name, to in every.items() if not name.startswith(second)}
        try:
            original(self, acknowledgement)
        finally:
            self._acknowledgements = every


@fault("ORDER-3", bindings=STOMP)
def of_two_sends_in_one_message_the_later_is_stored_first() -> None:
    """Of two SENDs to a topic that come together the later one is stored first."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        items = list(items)
        for at in range(len(items) - 1):
            paths = [each.headers.get("destination", "") for each in items[at : at + 2] if _is_send(each)]
            if len(paths) == 2 and paths[0] == paths[1] and topic_of(paths[0]) is not None:
                items[at : at + 2] = items[at + 1], items[at]
        original(self, items, now, queue_now)


def _is_send(item: Frame | ProtocolError) -> bool:
    return isinstance(item, Frame) and item.command == "SEND"


# Groups


@fault("GROUP-ADD-2", bindings=HTTP)
def a_group_without_members_is_added_anew() -> None:
    """Adding a group that has no members at the moment replaces it, and its offsets are lost."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, *, now: float) -> Group:
        self.tick(now)
        if name in self.groups and not self.groups[name].members:
            self.remove_group(name, now=now)
        group: Group = original(self, name, now=now)
        return group


@fault("MEMBER-SUBSCRIBE-4", bindings=HTTP)
def a_list_of_an_old_and_a_new_topic_frees_what_is_in_flight() -> None:
    """A subscription to an old and a new topic in one list frees what is in flight in the old one."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        old = [topic for topic in topics if topic.name in consumer.topics]
        if len(old) < len(topics):
            for topic in old:
                self._release(consumer, topic.name)
                self.rebalance(topic.name, now)
        original(self, consumer, topics, now)


@fault("TOPIC-REMOVE-11", bindings=HTTP)
def a_group_without_readers_keeps_its_offsets_for_the_next_topic() -> None:
    """A group without readers of a topic that is removed keeps its offsets for the next topic of the name."""
    kept: dict[tuple[Group, str], list[int]] = {}

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        self.tick(now)
        for group in self.followers(name):
            if not any(name in member.topics for member in group.members.values()):
                kept[group, name] = [cursor.committed for cursor in group.cursors[name]]
        original(self, name, now=now)

    @wrap(Group, "_open")
    def open_cursors(original: Any, self: Group, topic: Topic) -> None:
        original(self, topic)
        for cursor, offset in zip(self.cursors[topic.name], kept.pop((self, topic.name), ()), strict=False):
            cursor.committed = offset


# Doors


@fault("HTTP-METHOD-1", bindings=HTTP)
def a_put_to_a_publish_path_stores_the_record() -> None:
    """A PUT to a publish path stores the record."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, *more: Any) -> Any:
        if request.method == "PUT" and topic_of(request.path) is not None:
            request.method = "POST"
        return original(self, request, *more)


@fault("WEBSOCKET-UPGRADE-1", bindings=_WEBSOCKET)
def only_the_first_connection_line_is_looked_at() -> None:
    """Only the first of several Connection lines is looked at for an upgrade."""

    @wrap(connection, "shake_hands")
    def shake_hands(original: Any, headers: Any) -> Any:
        lines = list(headers)
        first = next((line for line in lines if line[0].lower() == "connection"), None)
        return original([line for line in lines if line[0].lower() != "connection" or line is first])


@fault("STOMP-WS-008", bindings=_WEBSOCKET)
def the_beginning_of_a_frame_decides_whether_it_is_text() -> None:
    """Only the first 1,024 octets of a frame decide whether it goes as text."""

    @replace(websocket, "encode")
    def encode(items: list[bytes], *, as_binary: bool = False) -> bytes:
        octets: list[bytes] = []
        for item in items:
            if type(item) is not websocket.Control:
                octets.append(websocket._head(size_of(item), is_text=not as_binary and _begins_as_text(item)))
            octets.append(item)
        return b"".join(octets)


def _begins_as_text(item: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(item[:1024])
    except UnicodeDecodeError:
        return False
    return True


# Refusals


@fault("STOMP-ERROR-002", bindings=V12, scope="server")
def operations_behind_a_refused_frame_are_performed() -> None:
    """SENDs to the paths of operations behind a refused frame are still performed."""
    refused: dict[Session, Any] = {}

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        refused[self] = frame
        original(self, error, frame)

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        original(self, items, now, queue_now)
        frame = refused.pop(self, None)
        at = next((at for at, each in enumerate(items) if each is frame), len(items))
        binding = self.hub.router.binding
        for item in items[at + 1 :]:
            if _is_send(item) and binding.serves(item.headers.get("destination", "")):
                binding._operations.perform(item.headers["destination"], item.body, now=queue_now)


@fault("QSTOMP-RECEIPT-2", bindings=STOMP)
def an_operation_that_is_refused_by_409_gets_its_receipt() -> None:
    """An operation that is refused by status 409 gets its RECEIPT."""

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        try:
            original(self, address, outcome)
        except ProtocolError:
            if outcome.status != 409:
                raise
