"""Faults of names, keys and numbers of things after public reports: what frameworks, prefixes and fixed tables leave.

Their models are path variables of web frameworks, reserved names of logs, and arrays of a fixed size.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from reference_server.queue import broker as broker_module
from reference_server.queue import names
from reference_server.queue import topic as topic_module
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.server.http import HttpBinding
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.editing import as_object, edit_requests
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Partition, Record, Topic
    from reference_server.server.requests import Request


# Names


@fault("NAME-1", bindings=HTTP)
def names_with_two_underscores_in_front_are_the_servers() -> None:
    """Names that begin with `__` are refused: they are those of internal topics."""
    right = names.check_name

    @replace(broker_module, "check_name")
    def check(name: str, member: str, longest: int) -> str:
        if name.startswith("__"):
            raise Refusal("name-invalid", f"{member} {name!r} is reserved", member)
        return right(name, member, longest)


def _edit_paths(edit: Callable[[str], str]) -> None:
    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        edited = msgspec.structs.replace(request, path=edit(request.path))
        outcome: Outcome | None = original(self, edited, transport)
        return outcome


@fault("PUB-STORE-1", "NAME-1", "NAME-5", "PUB-ACK-7", bindings=HTTP)
def a_path_loses_what_follows_its_last_dot() -> None:
    """The topic in a path ends at its last dot: what follows is the format of the reply."""
    _edit_paths(lambda path: re.sub(r"(publish/.+)\.[^./]*$", r"\1", path))


@fault("NAME-3", "NAME-5", bindings=HTTP)
def paths_are_decoded_twice() -> None:
    """Names may have a percent sign in them; a path is decoded by the framework and by the server."""
    names._NAME = re.compile(r"[A-Za-z0-9._%-]+")
    _edit_paths(unquote)


# Keys


def _doors() -> list[str]:
    """The door and path of the operations that are being performed, outermost first."""
    found: list[str] = []

    @wrap(QueueBinding, "perform")
    def by_send(original: Any, self: QueueBinding, outlet: Any, frame: Any) -> Any:
        found.append("send")
        try:
            return original(self, outlet, frame)
        finally:
            found.pop()

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, *more: Any, **named: Any) -> Any:
        found.append(path)
        try:
            return original(self, path, *more, **named)
        finally:
            found.pop()

    return found


def _from_the_other_end(is_here: Callable[[], bool]) -> None:
    right = topic_module.partition_of

    @replace(topic_module, "partition_of")
    def partition_of(key: str, partitions: int) -> int:
        return (partitions - 1 - right(key, partitions)) if is_here() else right(key, partitions)


@fault("PART-KEY-1", "PUB-ALIAS-1", bindings=HTTP)
def keys_of_the_short_path_are_hashed_otherwise() -> None:
    """Records with a key that come by `/publish/{topic}` lie in another partition than those by the long path."""
    doors = _doors()
    _from_the_other_end(lambda: any(each.startswith("/publish/") for each in doors))


@fault("PART-KEY-1", bindings=HTTP, scope="server")
def keys_over_stomp_are_hashed_otherwise() -> None:
    """Records with a key that are sent over STOMP lie in another partition than those that are posted."""
    doors = _doors()
    _from_the_other_end(lambda: "send" in doors)


@fault("PUB-STORE-1", "DELIVER-1", "PUB-LABEL-1", bindings=HTTP)
def records_of_one_key_and_time_are_one() -> None:
    """A record whose key and timestamp were stored before is answered as the stored one, and not stored."""
    seen: dict[tuple[Topic, str, float | int | str], tuple[Partition, int]] = {}

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic_name: str, record: Record, *, now: float) -> Any:
        topic = self.topics.get(topic_name)
        if topic is None or not record.key or record.timestamp == int(now * 1000):
            return original(self, topic_name, record, now=now)
        mark = (topic, record.key, record.timestamp)
        if mark not in seen:
            seen[mark] = original(self, topic_name, record, now=now)
        return seen[mark]


# Numbers of things


@fault("MEMBER-SUBSCRIBE-1", bindings=HTTP)
def a_consumer_has_twenty_topics() -> None:
    """Of the topics that a consumer subscribes to one after another, those after the twentieth are left out."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        room = max(0, 20 - len(consumer.topics))
        original(self, consumer, topics[:room], now)


@fault("POLL-START-1", "DELIVER-1", "ISOLATE-1", bindings=HTTP)
def a_topic_has_thirty_two_groups() -> None:
    """The thirty-third group of a topic, and those after it, start at the end of its partitions."""

    @wrap(Group, "_open")
    def open_topic(original: Any, self: Group, topic: Topic) -> None:
        original(self, topic)
        readers[topic] = readers.get(topic, 0) + 1
        for cursor in self.cursors[topic.name] if readers[topic] > 32 else ():
            cursor.committed = cursor.handed = cursor.partition.end

    readers: dict[Topic, int] = {}


@fault("POLL-FAIR-1", "DELIVER-1", bindings=HTTP, effort="standard")
def a_consumer_owns_a_hundred_partitions() -> None:
    """Of more than a hundred partitions that a consumer owns, those that it got last bring nothing."""

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        ranks = {cursor: rank for rank, cursor in enumerate(sorted(self.assigned, key=_place))}
        surplus = [cursor for cursor in self.assigned if ranks[cursor] >= 100]
        for cursor in surplus:
            del self.assigned[cursor]
        found: Cursor | None = original(self)
        for cursor in surplus:
            self.assigned[cursor] = None
        return found


def _place(cursor: Cursor) -> tuple[str, int]:
    return cursor.partition.topic, cursor.partition.index


# Values that stay from the request before


def _keep_last(path: str, member: str) -> None:
    """A request of that path without the member has the value of the last one that had it."""
    last: list[Any] = []

    def edit(document: dict[str, Any]) -> None:
        if isinstance(document.get(member), int) and document[member] is not True:
            last[:] = [document[member]]
        elif last and member not in document:
            document[member] = last[0]

    edit_requests(path, edit)


@fault("CAP-2", "TOPIC-ADD-1", bindings=HTTP)
def a_topic_has_as_many_partitions_as_the_last_that_asked() -> None:
    """A topic that is added without `partitions` gets as many as the last request asked for: the object is reused."""
    _keep_last("/topic/add-topic", "partitions")


@fault("PUB-STORE-1", "DELIVER-1", bindings=HTTP)
def a_topic_has_the_bound_of_the_last_that_asked() -> None:
    """A topic that is added without `partition_bytes` gets the bound of the last request that had one."""
    _keep_last("/topic/add-topic", "partition_bytes")


@fault("POLL-OK-1", "POLL-EMPTY-1", bindings=HTTP)
def who_polled_a_batch_always_gets_one() -> None:
    """A poll without `max_messages` is a batch if the last poll of its consumer was one."""
    last: dict[str, int] = {}

    def edit(document: dict[str, Any]) -> None:
        name, count = document.get("consumer_name"), document.get("max_messages")
        if isinstance(name, str) and isinstance(count, int) and count is not True:
            last[name] = count
        elif isinstance(name, str) and name in last and "max_messages" not in document:
            document["max_messages"] = last[name]

    edit_requests("/consumer/poll", edit)


@fault("TOPIC-ALIAS-1", "PUB-FULL-1", bindings=HTTP)
def the_short_spelling_adds_topics_without_a_bound() -> None:
    """`/addTopic` does not read `partition_bytes`."""
    edit_requests("/addTopic", lambda document: document.pop("partition_bytes", None))


@fault("LIVE-BEAT-1", "LIVE-KEEP-1", bindings=HTTP)
def who_was_unknown_once_has_no_heartbeat() -> None:
    """A name whose heartbeat was refused is remembered as unknown: its heartbeats are refused once it is registered."""
    unknown: set[str] = set()

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        name = (as_object(body) or {}).get("consumer_name") if path == "/consumer/heartbeat" else None
        if isinstance(name, str) and name in unknown:
            body = b'{"consumer_name":"nobody at all"}'
        outcome: Outcome | None = original(self, path, body, **named)
        if isinstance(name, str) and outcome is not None and outcome.status == 404:
            unknown.add(name)
        return outcome


@fault("REFUSE-4", "PUB-TEXT-1", "PART-KEY-1", bindings=HTTP)
def what_follows_an_unknown_member_is_not_read() -> None:
    """The key of a record is not read if it stands behind a member that the server does not know."""
    known = {"messageID", "message", "key", "timestamp"}

    def edit(document: dict[str, Any]) -> None:
        unknown = [place for place, name in enumerate(document) if name not in known]
        if unknown and "key" in document and list(document).index("key") > unknown[0]:
            del document["key"]

    edit_requests("/producer/publish/", edit)
    edit_requests("/publish/", edit)
