"""Faults of names, keys and values in a third rewrite: words for nothing, collisions, prefixes and lenient readers.

Their models are public reports on queues that keep their state in foreign stores, and on lenient readers of JSON.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import outcomes, partitioner
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Partition, Record, Topic, octets_in
from tests.mutants.editing import edit_requests
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Consumer
    from reference_server.queue.outcomes import Outcome


def _edit_record(edit: Any) -> None:
    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic: str, record: Record, *, now: float) -> Any:
        return original(self, topic, edit(record), now=now)


# Words and keys


@fault("PART-KEY-1", "PUB-TEXT-1", bindings=HTTP)
def the_keys_nan_and_nil_are_no_keys() -> None:
    """The keys `NaN`, `nil` and `NULL` count as no key."""
    words = ("NaN", "nan", "nil", "NULL", "NIL")
    _edit_record(lambda each: msgspec.structs.replace(each, key=None) if each.key in words else each)


@fault("NAME-1", bindings=STOMP)
def the_name_null_is_missing() -> None:
    """The names `null`, `None` and `0` of a group or a consumer are refused as missing."""

    def edit(document: dict[str, Any]) -> None:
        for member in ("consumer_group_name", "consumer_name"):
            if document.get(member) in ("null", "None", "0"):
                del document[member]

    edit_requests("/consumer", edit)


@fault("PUB-TEXT-1", bindings=HTTP)
def the_message_null_is_empty() -> None:
    """A message `null` or `undefined` is delivered as the empty text."""
    words = ("null", "undefined", "None")
    _edit_record(lambda each: msgspec.structs.replace(each, message="") if each.message in words else each)


@fault("PART-KEY-2", "PART-KEY-1", bindings=HTTP)
def keys_of_digits_are_numbers() -> None:
    """A key of digits lies where its number without leading zeros does."""

    @wrap(Topic, "partition_for")
    def find(original: Any, self: Topic, key: str | None) -> Partition:
        if key and key.isascii() and key.isdigit():
            key = str(int(key))
        found: Partition = original(self, key)
        return found


@fault("PART-KEY-2", "PART-KEY-1", bindings=HTTP)
def long_keys_are_told_apart_by_their_first_256_characters() -> None:
    """The number of a key is remembered by its first 256 characters."""
    known: dict[str, int] = {}

    @wrap(partitioner, "key_number")
    def number_of(original: Any, key: str) -> int:
        if len(known) > 10000:
            known.clear()
        if key[:256] not in known:
            known[key[:256]] = original(key)
        return known[key[:256]]


@fault("PUB-ACK-6", bindings=STOMP)
def labels_are_composed() -> None:
    """A label comes back in the normal form NFC."""

    def compose(document: dict[str, Any]) -> None:
        if isinstance(document.get("messageID"), str):
            document["messageID"] = unicodedata.normalize("NFC", document["messageID"])

    edit_requests("/producer/publish/", compose)


# Names


@fault("NAME-5", "TOPIC-ADD-1", bindings=HTTP)
def topics_collide_when_hyphens_are_dropped() -> None:
    """A topic `a-b` is refused where `ab` exists, and the other way round."""

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Any:
        if name not in self.topics and name.replace("-", "") in {
            each.replace("-", "") for each in self.topics
        }:
            raise Refusal("topic-exists", "a topic of this name exists", "topicName")
        return original(self, name, *arguments, **named)


@fault("NAME-5", "NAME-1", "GROUP-ADD-1", bindings=STOMP)
def groups_collide_when_dots_become_hyphens() -> None:
    """A group `a.b` is the group `a-b`, if that exists."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, *, now: float) -> Any:
        same = [each for each in self.groups if each.replace(".", "-") == name.replace(".", "-")]
        group = original(self, same[0] if same else name, now=now)
        self.groups[name] = group
        return group


@fault("NAME-5", "MEMBER-UNREGISTER-1", bindings=HTTP)
def a_departure_takes_longer_names_along() -> None:
    """When `c1` is unregistered, `c1-2` of its group is as well: keys of a store are removed by their beginning."""

    @wrap(QueueBroker, "unregister")
    def unregister(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        others = [each for each in consumer.group.members.values() if each.name.startswith(consumer.name)]
        for each in others:
            original(self, each)


@fault("NAME-5", "MEMBER-UNSUBSCRIBE-1", bindings=HTTP)
def giving_up_a_topic_ends_longer_names() -> None:
    """Unsubscribing from `a` ends the consumer's subscription to `a-b` as well."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, topics: Any) -> None:
        more = [each for each in consumer.topics if each.startswith(tuple(topics))]
        original(self, consumer, list(dict.fromkeys([*topics, *more])))


@fault("INTRO-UNKNOWN-1", "NAME-5", bindings=HTTP)
def the_first_topic_with_the_prefix_is_described() -> None:
    """A topic that is not there is described as the first topic whose name begins with it."""

    @wrap(Operations, "read")
    def read(original: Any, self: Operations, path: str, *, now: float) -> Outcome:
        collection, _, name = path[1:].partition("/")
        if collection == "topics" and name and name not in self.broker.topics:
            path = "/topics/" + next((each for each in self.broker.topics if each.startswith(name)), name)
        outcome: Outcome = original(self, path, now=now)
        return outcome


# Readers of JSON


def _rewrite(path: str, edit: Any) -> None:
    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, asked: str, body: bytes, **named: Any) -> Any:
        return original(self, asked, edit(body) if asked.startswith(path) else body, **named)


@fault("REFUSE-5", bindings=STOMP)
def a_comma_may_follow_the_last_member() -> None:
    """A comma behind the last member of a body is skipped."""
    _rewrite("/consumer", lambda body: re.sub(rb",\s*\}\s*\Z", b"}", body))


@fault("REFUSE-5", bindings=HTTP)
def apostrophes_are_quotation_marks() -> None:
    """Texts of a body may stand in apostrophes."""
    _rewrite("/topic/", lambda body: body if b'"' in body else body.replace(b"'", b'"'))


@fault("REFUSE-5", bindings=HTTP)
def members_may_be_spelled_like_those_of_java() -> None:
    """`consumerName` and `consumerGroupName` are read where the members with underscores are missing."""

    def edit(document: dict[str, Any]) -> None:
        for member, other in (
            ("consumer_name", "consumerName"),
            ("consumer_group_name", "consumerGroupName"),
        ):
            if other in document:
                document.setdefault(member, document[other])

    edit_requests("/consumer", edit)


@fault("POLL-WAIT-4", "REFUSE-5", bindings=HTTP)
def waits_may_be_text() -> None:
    """`"wait_seconds": "1"` is taken for a number."""

    def edit(document: dict[str, Any]) -> None:
        value = document.get("wait_seconds")
        if isinstance(value, str) and value.replace(".", "", 1).isdigit():
            document["wait_seconds"] = float(value)

    edit_requests("/consumer/poll", edit)


@fault("REFUSE-5", "POLL-BATCH-2", bindings=STOMP)
def true_is_one_message() -> None:
    """`"max_messages": true` asks for one record."""

    def edit(document: dict[str, Any]) -> None:
        if document.get("max_messages") is True:
            document["max_messages"] = 1

    edit_requests("/consumer/poll", edit)


@fault("MEMBER-SUBSCRIBE-2", bindings=HTTP)
def a_comma_may_stand_before_a_list() -> None:
    """An empty name at the beginning of `topic_list` is dropped."""

    def edit(document: dict[str, Any]) -> None:
        value = document.get("topic_list")
        if isinstance(value, str) and len(value) > 1:
            document["topic_list"] = value.removeprefix(",")

    edit_requests("/consumer/", edit)


@fault("MEMBER-SUBSCRIBE-1", bindings=HTTP)
def a_list_has_ten_topics() -> None:
    """The eleventh and later topics of a `topic_list` are answered 200 and not subscribed to."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Any) -> None:
        original(self, consumer, names[:10])


# Paths


# Counts


@fault("POLL-OK-2", "ACK-OK-1", bindings=HTTP)
def ids_begin_anew_when_a_topic_is_removed() -> None:
    """Message ids begin anew when a topic is removed, so that two records in flight have one id."""

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        original(self, name, now=now)
        self._next_id = 1


@fault("PUB-POSITION-1", bindings=HTTP, effort="standard")
def offsets_are_told_modulo_256() -> None:
    """A delivered record has its offset modulo 256."""

    @wrap(outcomes, "_record_body")
    def body_of(original: Any, delivery: Any) -> Any:
        document = original(delivery)
        return {**document, "offset": document["offset"] % 256}


@fault("PUB-FULL-1", bindings=HTTP)
def a_partition_counts_its_octets_in_kib() -> None:
    """Each record counts whole KiB, and less than one as none."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic: str, record: Record, *, now: float) -> Any:
        stored = original(self, topic, record, now=now)
        stored[0].octets -= octets_in(record) % 1024
        return stored
