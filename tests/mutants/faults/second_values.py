"""Faults of values in a second rewrite: spellings of JSON, ends of ranges, labels, keys, rounds and rooms.

Their models are readers of JSON in Rust, Go and JavaScript, caches of partitioners, and slips such as a name that every
object has, a value that counts as false, or a bound that is compared by the wrong sign.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import long_polls, names, outcomes, topic
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.queue.requests import TopicList
from reference_server.queue.topic import Partition, Record, Topic
from tests.mutants.editing import as_object, edit_requests
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.queue.outcomes import Outcome

_PUBLISH = ("/producer/publish/", "/publish/")
_ESCAPED_NAME = re.compile(rb'"[^"]*\\[^"]*"\s*:')
_ESCAPED_VALUE = re.compile(rb'"(?:topicName|consumer_group_name|consumer_name|topic_list)"\s*:\s*"[^"]*\\')
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?|true|false|null")
#: Seconds within which two producers come at one instant.
_INSTANT = 0.001


def _refuse_bodies(is_bad: Callable[[bytes], object]) -> None:
    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, path, b"{" if is_bad(body) else body, **named)
        return outcome


# Spellings of JSON


@fault("REFUSE-9", "TOPIC-ADD-1", "GROUP-ADD-1", "MEMBER-REGISTER-1", bindings=HTTP)
def names_have_no_escapes() -> None:
    r"""A name that is written with an escape, as `"\u0061"`, is refused: it is borrowed from the body as it stands."""
    _refuse_bodies(_ESCAPED_VALUE.search)


@fault("REFUSE-9", "GROUP-ADD-1", "TOPIC-ADD-1", "HTTP-POST-1", bindings=HTTP)
def members_are_looked_for_as_they_are_written() -> None:
    r"""A member whose name is written with an escape, as `"consumer\u005fname"`, is not found."""
    _refuse_bodies(_ESCAPED_NAME.search)


@fault("REFUSE-9", "HTTP-POST-1", "GROUP-ADD-1", "TOPIC-ADD-1", bindings=HTTP)
def a_body_begins_with_its_brace() -> None:
    """A body with a blank or a line end before its brace is refused."""
    _refuse_bodies(lambda body: body[:1] in (b" ", b"\n", b"\r", b"\t"))


@fault("REFUSE-9", "QSTOMP-SEND-1", "GROUP-ADD-1", "TOPIC-ADD-1", bindings=STOMP)
def a_body_ends_with_its_brace() -> None:
    """A body with a line end behind its brace is refused: what follows is looked at by its octets."""
    _refuse_bodies(lambda body: body[-1:] in (b" ", b"\n", b"\r", b"\t"))


@fault("REFUSE-4", bindings=STOMP)
def unknown_members_are_plain_values() -> None:
    """A body is refused if an unknown member is an object or a list: members are read into a map of scalars."""

    def has_structure(body: bytes) -> bool:
        document = as_object(body) or {}
        return any(isinstance(value, dict | list) for value in document.values())

    _refuse_bodies(has_structure)


# Names


@fault("NAME-1", "TOPIC-ADD-1", bindings=HTTP)
def names_that_every_object_has_are_taken() -> None:
    """The topics `constructor`, `toString` and `__proto__` exist from the start: names are looked up in an object."""

    @wrap(QueueBroker, "add_topic")
    def add_topic(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Topic:
        if name in ("constructor", "toString", "valueOf", "hasOwnProperty", "__proto__"):
            raise Refusal("topic-exists", f"topic {name!r} exists", "topicName")
        added: Topic = original(self, name, *arguments, **named)
        return added


@fault("NAME-1", bindings=HTTP)
def names_of_dots_are_refused() -> None:
    """The name `...` is refused as `.` and `..` are."""
    _refuse_names(lambda name: not name.strip("."))


@fault("NAME-1", bindings=STOMP)
def names_may_not_begin_with_a_hyphen() -> None:
    """A name that begins with a hyphen is refused as an option of a command line."""
    _refuse_names(lambda name: name.startswith("-"))


@fault("NAME-1", bindings=HTTP)
def names_end_with_a_letter_or_a_digit() -> None:
    """A name that ends with a dot, a hyphen or an underscore is refused."""
    _refuse_names(lambda name: name.endswith((".", "-", "_")))


def _refuse_names(is_bad: Callable[[str], object]) -> None:
    right = names.check_name

    def check(name: str, member: str, longest: int) -> str:
        if is_bad(name):
            raise Refusal("name-invalid", f"{member} {name!r} is not a name", member)
        return right(name, member, longest)

    from reference_server.queue import broker

    replace(broker, "check_name")(check)


@fault("MEMBER-UNSUBSCRIBE-1", bindings=HTTP)
def a_topic_that_is_listed_twice_is_given_up_and_missed() -> None:
    """A list to unsubscribe from that has a topic twice is refused: the second time the subscription is gone."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Any, listed: Any) -> None:
        if len(set(listed)) < len(listed):
            original(self, consumer, list(dict.fromkeys(listed)))
            raise Refusal("topic-unknown", "the consumer is not subscribed to it", "topic_list")
        original(self, consumer, listed)


@fault("MEMBER-SUBSCRIBE-1", bindings=STOMP)
def a_list_has_32_names() -> None:
    """Names of a list behind the 32nd are not read: a split with a bound."""

    @wrap(TopicList, "names")
    def listed(original: Any, self: TopicList) -> list[str]:
        found: list[str] = original(self)
        return found[:32]


# Ends of ranges


@fault("PART-COUNT-1", bindings=HTTP)
def the_largest_number_of_partitions_is_refused() -> None:
    """A topic with as many partitions as the limit says is refused: the end is exclusive."""

    @wrap(QueueBroker, "add_topic")
    def add_topic(original: Any, self: QueueBroker, name: str, count: int, *more: Any, **named: Any) -> Any:
        return original(self, name, count + (count == self.settings.topic_partitions), *more, **named)


@fault("POLL-BATCH-1", bindings=HTTP)
def the_largest_batch_is_refused() -> None:
    """A poll whose `max_messages` is the limit is refused."""

    @wrap(Operations, "_poll")
    def poll(original: Any, self: Operations, body: bytes, *more: Any) -> Any:
        document = as_object(body) or {}
        if document.get("max_messages") == self.broker.settings.poll_messages:
            raise Refusal("member-value", "max_messages is too large", "max_messages")
        return original(self, body, *more)


@fault("POLL-WAIT-1", "POLL-WAIT-2", bindings=HTTP)
def the_longest_wait_is_refused() -> None:
    """A poll whose `wait_seconds` is the limit is refused."""

    @wrap(Operations, "_poll")
    def poll(original: Any, self: Operations, body: bytes, *more: Any) -> Any:
        document = as_object(body) or {}
        if document.get("wait_seconds") == self.broker.settings.wait_seconds:
            raise Refusal("member-value", "wait_seconds is too large", "wait_seconds")
        return original(self, body, *more)


@fault("PUB-FULL-1", bindings=HTTP)
def a_partition_holds_an_octet_more() -> None:
    """A partition takes a record with which it is one octet over its bound."""

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, name: str, count: int, brokers: int, bound: int) -> None:
        original(self, name, count, brokers, bound + 1)


@fault("REFUSE-1", "PUB-FULL-1", bindings=HTTP)
def a_record_without_room_takes_room() -> None:
    """The octets of a record that is refused for want of room are counted: they are added before the comparison."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, *, now: float) -> Any:
        try:
            return original(self, name, record, now=now)
        except Refusal as refusal:
            found = self.topics.get(name)
            if refusal.cause == "partition-full" and found is not None:
                found.partition_for(record.key).octets += topic.octets_in(record)
            raise


@fault("CLOCK-1", "CLOCK-4", bindings=HTTP)
def no_seconds_at_all_are_missing() -> None:
    """`seconds` of 0 is refused as missing: a test for truth where one for nothing was meant."""

    @wrap(Operations, "advance")
    def advance(original: Any, self: Operations, body: bytes, *more: Any, **named: Any) -> Outcome:
        document = as_object(body) or {}
        is_zero = document.get("seconds") == 0 and not isinstance(document.get("seconds"), bool)
        outcome: Outcome = original(self, b"{}" if is_zero else body, *more, **named)
        return outcome


# Texts, labels and timestamps


def _edit_record(edit: Callable[[dict[str, Any]], object]) -> None:
    for path in _PUBLISH:
        edit_requests(path, edit)


@fault("POLL-OK-1", "PUB-TEXT-1", bindings=HTTP)
def a_message_that_looks_like_a_value_is_one() -> None:
    """A message such as `17`, `true` or `null` is delivered as that number or word of JSON, without its quotes."""
    right = long_polls.LongPolls.hand_out

    @wrap(long_polls.LongPolls, "hand_out")
    def hand_out(original: Any, self: Any, consumer: Any, limit: int) -> Outcome:
        outcome: Outcome = right(self, consumer, limit)
        document = as_object(outcome.body) if outcome.body else None
        if document is None:
            return outcome
        for record in document.get("records", [document]):
            text = record["message"]["message"]
            if _NUMBER.fullmatch(text):
                record["message"]["message"] = msgspec.json.decode(text.lstrip("0") or "0")
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(document))


@fault("PUB-TIME-1", bindings=HTTP)
def there_is_no_time_before_1970() -> None:
    """A negative timestamp is delivered as 0."""

    def edit(body: dict[str, Any]) -> None:
        if isinstance(body.get("timestamp"), int | float) and body["timestamp"] < 0:
            body["timestamp"] = 0

    _edit_record(edit)


@fault("PUB-TIME-1", bindings=STOMP)
def a_timestamp_of_digits_is_a_number() -> None:
    """A timestamp that is a string of digits is delivered as a number."""

    def edit(body: dict[str, Any]) -> None:
        stamp = body.get("timestamp")
        if isinstance(stamp, str) and stamp.isascii() and stamp.isdigit() and len(stamp) < 19:
            body["timestamp"] = int(stamp)

    _edit_record(edit)


@fault("PUB-STORE-1", "PUB-BODY-1", bindings=HTTP)
def a_negative_label_is_refused() -> None:
    """A record whose label is below 0 is refused: labels are unsigned."""

    def edit(body: dict[str, Any]) -> None:
        if type(body.get("messageID")) is int and body["messageID"] < 0:
            del body["messageID"]

    _edit_record(edit)


@fault("PUB-ACK-6", bindings=STOMP)
def labels_have_63_bits_and_no_sign() -> None:
    """The acknowledgement of a record with a negative label has the label without its sign."""
    right = outcomes.acknowledged

    @replace(outcomes, "acknowledged")
    def acknowledged(name: str, label: str | int) -> Any:
        return right(name, abs(label) if isinstance(label, int) else label)


@fault("PUB-ACK-3", bindings=STOMP)
def a_failure_for_an_unknown_topic_has_no_label() -> None:
    """The FAILED of a record for an unknown topic does not tell the label, which its body has."""
    right = outcomes.failed

    @replace(outcomes, "failed")
    def failed(name: str, label: Any, refusal: Refusal) -> Any:
        return right(name, None if refusal.cause == "topic-unknown" else label, refusal)


# Keys and rounds


@fault("PART-KEY-2", bindings=HTTP)
def a_key_has_its_partition_of_another_topic() -> None:
    """The partition that a key had in the first topic is used in others, modulo their number of partitions."""
    known: dict[str, int] = {}
    right = topic.partition_of

    @replace(topic, "partition_of")
    def partition_of(key: str, partitions: int) -> int:
        return known.setdefault(key, right(key, partitions)) % partitions


@fault("PART-KEY-1", bindings=HTTP)
def a_hundred_keys_are_remembered() -> None:
    """A key that comes again after a hundred others is dealt to another partition: its place was forgotten."""
    known: OrderedDict[tuple[str, int], int] = OrderedDict()
    forgotten: set[tuple[str, int]] = set()
    right = topic.partition_of

    @replace(topic, "partition_of")
    def partition_of(key: str, partitions: int) -> int:
        place = (key, partitions)
        if place not in known:
            known[place] = (right(key, partitions) + (place in forgotten)) % partitions
        known.move_to_end(place)
        if len(known) > 100:
            forgotten.add(known.popitem(last=False)[0])
        return known[place]


@fault("PART-RR-1", "ATOMIC-1", bindings=HTTP)
def records_of_one_instant_take_one_turn() -> None:
    """Records without a key that two connections publish at one instant go to one partition: it is read, then added."""
    latest: dict[Topic, tuple[float, int, Partition]] = {}

    @wrap(Topic, "partition_for")
    def partition_for(original: Any, self: Topic, key: str | None) -> Partition:
        found: Partition = original(self, key)
        if key:
            return found
        now, thread = time.monotonic(), threading.get_ident()
        before = latest.get(self)
        if before is not None and before[1] != thread and now - before[0] < _INSTANT:
            found = before[2]
        latest[self] = now, thread, found
        return found
