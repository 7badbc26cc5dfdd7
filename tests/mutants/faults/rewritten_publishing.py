"""Faults of publishing as a rewrite would have them: texts that pass a template, rounds and hashes kept elsewhere.

Their models are public reports on sticky partitioners, log compaction, content-based deduplication and bridges between
brokers, and slips of languages: a value that counts as nothing, a counter of one octet, strings of UTF-16.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import msgspec

from reference_server.queue import outcomes, topic
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import ProducerAcknowledgement
from reference_server.queue.topic import Partition, Record, Topic
from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, QueueBinding
from tests.mutants.editing import edit_requests, open_cursors
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Callable

_PATHS = ("/producer/publish/", "/publish/")
_BEYOND_THE_BASIC_PLANE = re.compile("[\U00010000-\U0010ffff]")


def _edit_record(edit: Callable[[dict[str, Any]], object]) -> None:
    for path in _PATHS:
        edit_requests(path, edit)


def _edit_text(member: str, change: Callable[[str], str]) -> None:
    def edit(body: dict[str, Any]) -> None:
        if isinstance(body.get(member), str):
            body[member] = change(body[member])

    _edit_record(edit)


# Values that count as nothing


@fault("PUB-TIME-1", bindings=HTTP)
def the_time_0_is_no_time() -> None:
    """A timestamp of 0, or of an empty string, is replaced by the time of the server."""
    _edit_record(lambda body: body.get("timestamp", 1) or body.pop("timestamp"))


@fault("PUB-STORE-1", "PUB-LABEL-1", bindings=HTTP)
def the_label_0_is_no_label() -> None:
    """A record whose label is 0 or empty is refused as one without a label."""
    _edit_record(lambda body: body.get("messageID", 1) or body.pop("messageID"))


# Labels


def _acknowledge_by(write: Callable[[str | int], bytes]) -> None:
    @replace(outcomes, "acknowledged")
    def acknowledged(name: str, label: str | int) -> ProducerAcknowledgement:
        body = b'{"messageId":%b,"acknowledgementMessage":"ACK"}' % write(label)
        return ProducerAcknowledgement(name, body)


@fault("PUB-ACK-6", bindings=STOMP)
def labels_of_digits_are_told_as_numbers() -> None:
    """The acknowledgement of a record whose label is a string of digits has it as a number."""

    def write(label: str | int) -> bytes:
        is_number = isinstance(label, str) and label.isascii() and label.isdigit()
        return msgspec.json.encode(int(label) if is_number and len(str(label)) < 19 else label)

    _acknowledge_by(write)


@fault("PUB-ACK-6", bindings=STOMP)
def labels_are_put_into_a_template() -> None:
    """The acknowledgement has a label between two quotes as it is, so that a quote in it ends the string."""
    _acknowledge_by(lambda label: f'"{label}"'.encode() if isinstance(label, str) else b"%d" % label)


# Texts


@fault("PUB-TEXT-1", bindings=HTTP)
def a_byte_order_mark_is_dropped() -> None:
    """U+FEFF at the start of a message is dropped, as a reader of files does."""
    _edit_text("message", lambda text: text.removeprefix("\ufeff"))


@fault("PUB-TEXT-1", bindings=STOMP)
def messages_are_written_for_pages() -> None:
    """The characters `<`, `>` and `&` of a message come back as they are written in HTML."""
    _edit_text("message", lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


@fault("PUB-TEXT-1", bindings=HTTP)
def line_ends_of_messages_become_lf() -> None:
    """CR LF in a message comes back as LF."""
    _edit_text("message", lambda text: text.replace("\r\n", "\n"))


@fault("PUB-TEXT-1", bindings=STOMP)
def keys_are_decoded_like_forms() -> None:
    """`%41` in a key means `A`, and a plus sign a blank."""
    _edit_text("key", unquote_plus)


@fault("PUB-TEXT-1", bindings=HTTP)
def characters_beyond_the_basic_plane_become_two() -> None:
    """A character of a message that takes two units of UTF-16 comes back as two question marks."""
    _edit_text("message", lambda text: _BEYOND_THE_BASIC_PLANE.sub("??", text))


# Hashes


def _hash_by(octets: Callable[[str], bytes]) -> None:
    @replace(topic, "partition_of")
    def partition_of(key: str, partitions: int) -> int:
        digest = hashlib.md5(octets(key), usedforsecurity=False).digest()
        return int.from_bytes(digest[:4], "little") % partitions


@fault("PART-KEY-2", bindings=HTTP)
def the_hash_of_a_key_ends_at_32_octets() -> None:
    """The partition of a key is computed from its first 32 octets."""
    _hash_by(lambda key: key.encode()[:32])


@fault("PART-KEY-2", bindings=HTTP)
def keys_are_hashed_by_their_characters_low_octets() -> None:
    """The partition of a key is computed from the low octet of each character, as `(byte) c` gives it."""
    _hash_by(lambda key: bytes(ord(character) & 0xFF for character in key))


# Rounds


@fault("PART-RR-1", bindings=HTTP)
def all_topics_share_a_round() -> None:
    """One counter deals records without a key to the partitions of all topics."""
    counter = itertools.count()

    @replace(Topic, "partition_for")
    def partition_for(self: Topic, key: str | None) -> Partition:
        count = len(self.partitions)
        return self.partitions[topic.partition_of(key, count) if key else next(counter) % count]


@fault("PART-RR-1", bindings=HTTP, hard=True, effort="standard")
def the_round_is_counted_in_an_octet() -> None:
    """Behind the 256th record without a key the round jumps, if 256 is no multiple of the number of partitions."""
    counts: defaultdict[int, int] = defaultdict(int)

    @replace(Topic, "take_turn")
    def take_turn(self: Topic) -> None:
        counts[id(self)] = (counts[id(self)] + 1) % 256
        self._turn = counts[id(self)] % len(self.partitions)

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, *arguments: Any) -> None:
        original(self, *arguments)
        counts[id(self)] = 0


@fault("PART-RR-1", bindings=STOMP)
def each_spelling_of_the_path_has_a_round() -> None:
    """Records without a key go round by themselves for `/publish/` and for `/producer/publish/`."""
    turns: defaultdict[tuple[int, bool], int] = defaultdict(int)
    short: list[bool] = [False]

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, *more: Any, **named: Any) -> Any:
        short[0] = path.startswith("/publish/")
        return original(self, path, *more, **named)

    @wrap(Topic, "partition_for")
    def partition_for(original: Any, self: Topic, key: str | None) -> Partition:
        self._turn = turns[id(self), short[0]]
        found: Partition = original(self, key)
        return found

    @wrap(Topic, "take_turn")
    def take_turn(original: Any, self: Topic) -> None:
        original(self)
        turns[id(self), short[0]] = self._turn


@fault("PART-RR-1", bindings=HTTP)
def a_subscription_begins_the_round_anew() -> None:
    """When a consumer subscribes to a topic, the next record without a key goes to its first partition."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Any, names: Any) -> None:
        original(self, consumer, names)
        for name in names:
            self.topics[name]._turn = 0


# Storing


@fault("DELIVER-1", bindings=HTTP)
def a_newer_record_replaces_one_of_its_key() -> None:
    """A record takes the place of the unread one of its key at the end of the partition, as by compaction."""
    cursors = open_cursors()

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, *, now: float) -> Any:
        found = self.topics.get(name)
        partition = found.partition_for(record.key) if found and record.key else None
        if partition and partition.records and partition.records[-1].key == record.key:
            last = partition.end - 1
            if all(each.handed <= last for each in cursors[partition]):
                partition.records[-1] = record
                return partition, last
        return original(self, name, record, now=now)


@fault("PUB-STORE-1", "DELIVER-1", bindings=STOMP)
def equal_records_in_a_row_are_one() -> None:
    """A record with the key and the message of the one before it is answered 200 and not stored, whatever its label."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, *, now: float) -> Any:
        found = self.topics.get(name)
        partition = found.partition_for(record.key) if found and record.key else None
        last = partition.records[-1] if partition and partition.records else None
        if partition and last and (last.key, last.message) == (record.key, record.message):
            return partition, partition.end - 1
        return original(self, name, record, now=now)


# Acknowledgements for producers


def _acknowledge_to(is_meant: Callable[[str, str], bool]) -> None:
    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: ProducerAcknowledgement) -> None:
        names = {key.removeprefix(start) for key in self._acknowledgements for start in ACKNOWLEDGEMENTS}
        for name in {each for each in names if "/" not in each and is_meant(each, told.topic)} | {told.topic}:
            original(self, ProducerAcknowledgement(name, told.body))


@fault("PUB-ACK-7", bindings=STOMP)
def acknowledgements_go_to_topics_that_begin_alike() -> None:
    """Acknowledgements of the topic `news` go to the subscribers of `news-2`, too."""
    _acknowledge_to(lambda subscribed, published: subscribed.startswith(published))


@fault("PUB-ACK-7", bindings=STOMP)
def a_dot_in_a_topic_stands_for_any_character() -> None:
    """Acknowledgements of the topic `a-b` go to the subscribers of `a.b`, whose name is read as a pattern."""
    _acknowledge_to(
        lambda subscribed, published: re.fullmatch(subscribed.replace("-", "\\-"), published) is not None
    )


@fault("PUB-ACK-1", "PUB-ACK-2", bindings=STOMP)
def only_who_published_is_told() -> None:
    """The acknowledgement of a record goes to subscriptions of the session that sent it, and to no other."""
    sender: list[Any] = []

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Any) -> Any:
        sender.append(outlet)
        try:
            return original(self, outlet, frame)
        finally:
            sender.pop()

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: ProducerAcknowledgement) -> None:
        every = {}
        for start in ACKNOWLEDGEMENTS:
            found = self._acknowledgements.get(start + told.topic)
            if found is not None and sender:
                every[found] = found._subscribers
                own = {
                    each: None for each in found._subscribers if getattr(each, "_outlet", None) is sender[-1]
                }
                found._subscribers = own
        original(self, told)
        for found, subscribers in every.items():
            found._subscribers = subscribers
