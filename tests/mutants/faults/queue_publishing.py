"""Faults in publishing: stored records, refusals, and the texts of records."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import (
    answer_by,
    as_object,
    edit_requests,
    refuse_everywhere_by,
)
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Partition, Record
PUBLISH = "/producer/publish/"


def _store_other(change: Any) -> None:
    """Have `change(record)` be stored in the place of each record."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        return original(self, name, change(record), **named)


@fault("PUB-STORE-1", bindings=HTTP)
def a_stored_record_is_answered_accepted() -> None:
    """A publish is answered 202."""
    answer_by("_publish", 202)


@fault("PUB-STORE-1", "PUB-TEXT-1", bindings=STOMP)
def an_empty_message_is_refused() -> None:
    """A record whose message is the empty string is refused."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        if not record.message:
            raise Refusal("member-value", "message is empty", "message")
        return original(self, name, record, **named)


@fault("PUB-ALIAS-1", bindings=STOMP)
def the_short_spelling_publishes_nothing() -> None:
    """The path /publish/{topic} does not exist."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Any:
        return original(self, f"/no{path}" if path.startswith("/publish/") else path, body, **named)


@fault("PUB-KEY-1", bindings=HTTP)
def a_record_without_a_key_is_refused() -> None:
    """A record needs the member `key`, though it may be null."""

    @wrap(Operations, "_publish")
    def publish(original: Any, self: Operations, topic: str, body: bytes, now: float) -> Outcome:
        document = as_object(body)
        if document is not None and "key" not in document:
            document["key"] = 0
            body = msgspec.json.encode(document)
        outcome: Outcome = original(self, topic, body, now)
        return outcome


@fault("PUB-LABEL-1", bindings=HTTP)
def records_of_one_label_are_one() -> None:
    """A record with a label that was used in the topic before is answered 200 and not stored."""
    known: dict[tuple[str, object], tuple[Partition, int]] = {}

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        label = (name, record.label)
        if label not in known:
            known[label] = original(self, name, record, **named)
        return known[label]


@fault("PUB-LABEL-1", bindings=STOMP)
def a_label_that_comes_twice_in_a_row_is_a_duplicate() -> None:
    """A record with the label of the one before it in its topic is answered 200 and not stored."""
    last: dict[str, tuple[object, Any]] = {}

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        label, placed = last.get(name, (None, None))
        if label != record.label or placed is None:
            placed = original(self, name, record, **named)
            last[name] = record.label, placed
        return placed


@fault("PUB-TEXT-1", bindings=HTTP)
def messages_are_trimmed() -> None:
    """Blanks at both ends of a message are removed."""
    _store_other(lambda record: msgspec.structs.replace(record, message=record.message.strip()))


@fault("PUB-TEXT-1", bindings=STOMP)
def messages_end_at_a_nul() -> None:
    """A message is stored up to its first U+0000."""
    _store_other(lambda record: msgspec.structs.replace(record, message=record.message.partition("\0")[0]))


@fault("PUB-TEXT-1", bindings=HTTP)
def messages_are_normalised() -> None:
    """Messages are stored in the Unicode normalization form KC."""
    _store_other(
        lambda record: msgspec.structs.replace(record, message=unicodedata.normalize("NFKC", record.message))
    )


@fault("PUB-TEXT-1", bindings=HTTP)
def keys_are_cut_at_forty_characters() -> None:
    """A key is delivered as its first 40 characters."""
    _store_other(
        lambda record: (
            msgspec.structs.replace(record, key=record.key[:40])
            if record.key and len(record.key) > 40
            else record
        )
    )


@fault("PUB-TIME-1", bindings=HTTP)
def timestamps_lose_their_fraction() -> None:
    """Timestamps are stored in whole milliseconds."""
    _store_other(
        lambda record: (
            record
            if isinstance(record.timestamp, str)
            else msgspec.structs.replace(record, timestamp=int(record.timestamp))
        )
    )


@fault("PUB-TIME-1", bindings=STOMP)
def timestamps_are_the_servers() -> None:
    """The server replaces the timestamps of records by its own."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, *, now: float) -> Any:
        return original(self, name, msgspec.structs.replace(record, timestamp=int(now * 1000) + 7), now=now)


@fault("PUB-TOPIC-1", bindings=HTTP)
def publishing_adds_the_topic() -> None:
    """A record for a topic that does not exist adds it."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, *, now: float) -> Any:
        if name not in self.topics:
            self.add_topic(name, 0, 0, now=now)
        return original(self, name, record, now=now)


@fault("PUB-TOPIC-1", "REFUSE-1", bindings=STOMP)
def a_refused_record_adds_the_topic() -> None:
    """Of the records for an unknown topic the first is refused and the second is not."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, *, now: float) -> Any:
        try:
            return original(self, name, record, now=now)
        except Refusal as refusal:
            if refusal.cause == "topic-unknown":
                self.add_topic(name, 0, 0, now=now)
            raise


@fault("PUB-BODY-1", bindings=HTTP)
def a_message_may_be_anything() -> None:
    """A message that is not a string is stored as its JSON."""

    def as_text(body: dict[str, Any]) -> None:
        if not isinstance(body.get("message", ""), str):
            body["message"] = msgspec.json.encode(body["message"]).decode()

    edit_requests(PUBLISH, as_text)


@fault("PUB-BODY-1", bindings=STOMP)
def a_record_needs_no_label() -> None:
    """A record without `messageID`, or with null for one, gets a label from the server."""

    def give_label(body: dict[str, Any]) -> None:
        if body.get("messageID") is None:
            body["messageID"] = "none"

    edit_requests(PUBLISH, give_label)


@fault("PUB-BODY-2", "REFUSE-1", bindings=HTTP)
def a_refused_record_is_stored() -> None:
    """A record with a bad key is refused, but stored without it."""

    @wrap(Operations, "_publish")
    def publish(original: Any, self: Operations, topic: str, body: bytes, now: float) -> Outcome:
        outcome: Outcome = original(self, topic, body, now)
        document = as_object(body) or {}
        if outcome.status == 400 and isinstance(document.get("message"), str) and "key" in document:
            original(self, topic, msgspec.json.encode({**document, "key": None}), now)
        return outcome


@fault("REFUSE-6", bindings=HTTP)
def a_bad_member_is_unprocessable() -> None:
    """Bodies with a missing or wrong member are refused by 422."""
    for cause in ("member-missing", "member-type", "member-value"):
        refuse_everywhere_by(cause, 422)


@fault("REFUSE-5", "PUB-BODY-1", bindings=HTTP)
def octets_that_are_no_text_are_replaced() -> None:
    """A body that is not UTF-8 is read with replacement characters."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Any:
        return original(self, path, body.decode("utf-8", "replace").encode(), **named)
