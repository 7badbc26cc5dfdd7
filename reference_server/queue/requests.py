"""Request bodies: members, types and bounds (REFUSE-4 to REFUSE-7)."""

import re
from typing import Annotated, TypeVar

import msgspec

from reference_server.queue.refusal import Refusal
from reference_server.queue.settings import QueueSettings
from reference_server.queue.topic import Record

_HIGHEST_ID = 2**63 - 1
#: Numbers that every JSON reader can take, and that can be echoed.
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=_HIGHEST_ID)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MEMBER = re.compile(r" - at `\$\.([^`.\[]+)")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class Request(msgspec.Struct):
    """The body of a request. Members that it does not name are ignored (REFUSE-4)."""


class AddTopic(Request):
    """A topic; the extensions topic-partitions and topic-limits add `partitions` and `partition_bytes` (0: default)."""

    topicName: str
    partitions: _Count = 0
    partition_bytes: _Count = 0


class NameTopic(Request):
    """A topic."""

    topicName: str


class Publish(Request):
    """A record; without a `timestamp` the record gets the server's time."""

    messageID: str | _Int64
    message: str
    key: str | None = None
    timestamp: float | _Int64 | str | None = None


class NameGroup(Request):
    """A group."""

    consumer_group_name: str


class Register(NameGroup):
    """A group and a new consumer in it."""

    consumer_name: str


class NameConsumer(Request):
    """A consumer."""

    consumer_name: str


class TopicList(NameConsumer):
    """A consumer and topics, separated by commas."""

    topic_list: str

    def names(self) -> list[str]:
        """The names of the list. Raises Refusal (member-value) for an empty list or item."""
        names = [name.strip(" ") for name in self.topic_list.split(",")]
        if not all(names):
            raise Refusal("member-value", "topic_list is no list of names separated by commas", "topic_list")
        return names


class Poll(NameConsumer):
    """The extensions batch-poll and long-poll add `max_messages` (0: no batch) and `wait_seconds`."""

    max_messages: _Count = 0
    wait_seconds: _Seconds = 0.0

    def check(self, settings: QueueSettings) -> None:
        """Raise Refusal (member-value) for more than the settings admit (POLL-WAIT-4, POLL-BATCH-2)."""
        if self.wait_seconds > settings.wait_seconds:
            detail = f"wait_seconds is {settings.wait_seconds:g} at most"
            raise Refusal("member-value", detail, "wait_seconds")
        if self.max_messages > settings.poll_messages:
            raise Refusal("member-value", f"max_messages is {settings.poll_messages} at most", "max_messages")


class Settle(NameConsumer):
    """The id of a record in flight, as a number or a decimal string (ACK-OK-2)."""

    message_id: int | str

    def number(self) -> int:
        """The id as a number. Raises Refusal (member-value) if no id can be so (ACK-BAD-1)."""
        value = self.message_id
        if isinstance(value, str):
            if not (value.isascii() and value.isdigit() and len(value) <= 19):
                raise Refusal("member-value", "message_id is not a decimal number", "message_id")
            value = int(value)
        if not 0 <= value <= _HIGHEST_ID:
            raise Refusal("member-value", f"message_id is not from 0 to {_HIGHEST_ID}", "message_id")
        return value


class Advance(Request):
    """Seconds by which the clock advances, or the time of one group (CLOCK-1, CLOCK-3, CLOCK-4)."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    consumer_group_name: str | msgspec.UnsetType = msgspec.UNSET


SomeRequest = TypeVar("SomeRequest", bound=Request)


def decode(decoder: msgspec.json.Decoder[SomeRequest], body: bytes) -> SomeRequest:
    """Decode a body, however it is spelled (REFUSE-9).

    Raises Refusal: body-not-json, body-not-object, member-missing, member-type, member-value.
    """
    try:
        if not body.isascii():
            body.decode()  # the decoder skips members that it does not know; REFUSE-5 is about the whole body
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason = str(error)
    except _NOT_JSON as error:
        raise _not_json(error, body) from None
    try:  # the decoder stops at the first bad member: what follows may be no JSON
        msgspec.json.decode(body)
    except _NOT_JSON as error:
        raise _not_json(error, body) from None
    raise _invalid(reason)


_PUBLICATIONS = msgspec.json.Decoder(Publish)


def published_record(body: bytes, now: float) -> Record:
    """The record of a request to publish; `now` is the time in seconds of one that has none. Raises Refusal."""
    request = decode(_PUBLICATIONS, body)
    timestamp = int(now * 1000) if request.timestamp is None else request.timestamp
    return Record(request.messageID, request.message, request.key, timestamp)


def _not_json(error: Exception, body: bytes) -> Refusal:
    hint = "; \\ud800 to \\udfff stand for a character only in pairs" if _HALF_PAIR.search(body) else ""
    return Refusal("body-not-json", f"the body is not JSON: {error}{hint}")


def _invalid(reason: str) -> Refusal:
    if missing := _MISSING.search(reason):
        member = missing.group(1)
        return Refusal("member-missing", f"the member {member} is missing", member)
    at = _MEMBER.search(reason)
    if at is None:
        return Refusal("body-not-object", f"the body is not a JSON object: {reason}")
    member = at.group(1)
    expected = reason.partition(" - at ")[0]
    # A number out of range is a bad value, any other mismatch a bad type.
    cause = "member-type" if ", got " in expected else "member-value"
    return Refusal(cause, f"{member}: {expected}", member)


def label_of(body: bytes) -> str | int | None:
    """The producer's messageID in a refused body; None if there is none that can be echoed (PUB-ACK-3)."""
    try:
        value = msgspec.json.decode(body)
    except _NOT_JSON:
        return None
    label = value.get("messageID") if isinstance(value, dict) else None
    if isinstance(label, int) and not isinstance(label, bool):
        return label if -(2**63) <= label <= _HIGHEST_ID else None
    return label if isinstance(label, str) else None
