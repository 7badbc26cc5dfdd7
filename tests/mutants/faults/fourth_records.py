"""Faults of records and bodies in a fourth rewrite: truth of empty values, texts that are numbers, lenient decoders."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import partitioner, requests
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.editing import edit_requests
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.queue.outcomes import Outcome, ProducerAcknowledgement
    from reference_server.queue.topic import Partition, Record

_NUMBER = re.compile(r"-?[0-9]+\.[0-9]*0")


def _edit_record(edit: Callable[[Record], Record]) -> None:
    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic: str, record: Record, *, now: float) -> Any:
        return original(self, topic, edit(record), now=now)


def _edit_message(edit: Callable[[str], str]) -> None:
    _edit_record(lambda record: msgspec.structs.replace(record, message=edit(record.message)))


# Texts


@fault("PUB-TEXT-1", bindings=HTTP)
def messages_that_are_numbers_are_written_anew() -> None:
    """A message that is a decimal number loses the zeros at its end: `1.50` becomes `1.5`."""
    _edit_message(lambda text: text.rstrip("0").rstrip(".") if _NUMBER.fullmatch(text) else text)


@fault("PUB-TEXT-1", bindings=HTTP)
def line_separators_become_line_feeds() -> None:
    """U+2028, U+2029 and U+0085 in a message become line feeds."""
    _edit_message(lambda text: text.translate({0x2028: "\n", 0x2029: "\n", 0x85: "\n"}))


@fault("PUB-TEXT-1", bindings=HTTP)
def messages_end_at_a_control_z() -> None:
    """A message ends at its first U+001A."""
    _edit_message(lambda text: text.partition("\x1a")[0])


# Keys


@fault("PART-KEY-2", bindings=HTTP)
def keys_are_hashed_in_modified_utf_8() -> None:
    """Keys are hashed in the UTF-8 of Java: characters beyond the first plane have six octets, and NUL has two."""

    @wrap(partitioner, "_remembered_number")
    def number_of(_original: Any, key: str) -> int:
        octets = b"".join(
            chr(each).encode("utf-8", "surrogatepass")
            for each in memoryview(key.encode("utf-16-le")).cast("H")
        ).replace(b"\0", b"\xc0\x80")
        return int.from_bytes(hashlib.md5(octets, usedforsecurity=False).digest()[:4], "little")


@fault("PART-KEY-2", bindings=HTTP)
def keys_end_at_a_nul() -> None:
    """A key is hashed up to its first U+0000."""

    @wrap(partitioner, "_remembered_number")
    def number_of(original: Any, key: str) -> int:
        return int(original(key.partition("\0")[0]))


# Labels


@fault("PUB-STORE-1", "PUB-LABEL-1", bindings=HTTP)
def the_label_0_is_missing() -> None:
    """A record with the label 0 is refused as one without."""

    def edit(document: dict[str, Any]) -> None:
        if document.get("messageID") == 0 and document.get("messageID") is not False:
            del document["messageID"]

    edit_requests("/producer/publish", edit)


@fault("PUB-STORE-1", "PUB-LABEL-1", bindings=HTTP)
def an_empty_label_is_missing() -> None:
    """A record with the label `""` is refused as one without."""

    def edit(document: dict[str, Any]) -> None:
        if document.get("messageID") == "":
            del document["messageID"]

    edit_requests("/producer/publish", edit)


@fault("PUB-LABEL-1", bindings=HTTP)
def an_equal_record_right_behind_is_dropped() -> None:
    """A record that equals the one before it in its topic is answered like that one, and not stored."""
    last: dict[str, tuple[Record, Any]] = {}

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic: str, record: Record, *, now: float) -> Any:
        if topic in last and last[topic][0] == record and topic in self.topics:
            return last[topic][1]
        stored = original(self, topic, record, now=now)
        last[topic] = (record, stored)
        return stored


@fault("PUB-ACK-1", "PUB-ACK-2", "PUB-ACK-7", bindings=STOMP)
def acknowledgements_go_by_the_first_part_of_a_name() -> None:
    """Acknowledgements of the topic `a.b` go to the subscribers of those of `a`."""

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, told: ProducerAcknowledgement) -> None:
        original(self, msgspec.structs.replace(told, topic=told.topic.split(".")[0] or told.topic))


@fault("PUB-POSITION-1", "PUB-FULL-1", "PUB-BODY-2", "REFUSE-1", bindings=HTTP)
def a_record_without_room_takes_an_offset() -> None:
    """A record that is refused for want of room takes the next offset of its partition."""
    skipped: dict[Partition, int] = {}

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, topic: str, record: Record, *, now: float) -> Any:
        try:
            partition, offset = original(self, topic, record, now=now)
        except Refusal as refusal:
            if refusal.cause == "partition-full":
                full = self.topics[topic].partition_for(record.key)
                skipped[full] = skipped.get(full, 0) + 1
            raise
        return partition, offset + skipped.get(partition, 0)


# Bodies


@fault("REFUSE-9", bindings=HTTP)
def a_pair_of_escapes_is_two_characters() -> None:
    """A character that is written as two escapes in a body becomes two question marks."""
    pair = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, path, pair.sub(b"??", body), **named)
        return outcome


@fault("REFUSE-9", "REFUSE-5", bindings=HTTP)
def a_slash_is_no_escape() -> None:
    r"""A body with the escape `\/` is no JSON."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, path, body.replace(b"\\/", b"\\?"), **named)
        return outcome


@fault("REFUSE-4", bindings=HTTP)
def a_body_has_ten_members() -> None:
    """Of the members of a body the first ten are read."""
    _shorten(lambda document: dict(list(document.items())[:10]))


@fault("REFUSE-4", bindings=HTTP)
def unknown_members_may_not_be_objects() -> None:
    """A body with an unknown member that is an object or a list is refused."""
    _shorten(
        lambda document: (
            [] if any(isinstance(value, dict | list) for value in document.values()) else document
        )
    )


def _shorten(edit: Callable[[dict[str, Any]], Any]) -> None:
    @wrap(requests, "decode")
    def decode(original: Any, decoder: Any, body: bytes) -> Any:
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return original(decoder, body)
        if isinstance(document, dict):
            body = msgspec.json.encode(edit(document)) if edit(document) != document else body
        return original(decoder, body)
