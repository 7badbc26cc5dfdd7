"""The bodies of requests: their members, types and bounds (REFUSE-4 to REFUSE-7)."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import msgspec

from reference_server.queue.refusal import Refusal

_HIGHEST_ID = 2**63 - 1
#: Numbers that every JSON reader can take and that can be told again.
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=_HIGHEST_ID)]
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MEMBER = re.compile(r" - at `\$\.([^`.\[]+)")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class Request(msgspec.Struct):
    """The body of a request. Members that it does not name are ignored (REFUSE-4)."""


class AddTopic(Request):
    """`partitions` and `partition_bytes` are of the extensions topic-partitions and topic-limits."""

    topicName: str
    partitions: int | msgspec.UnsetType = msgspec.UNSET
    partition_bytes: int | msgspec.UnsetType = msgspec.UNSET


class Publish(Request):
    """A record; without a `timestamp` it gets the server's time."""

    messageID: str | _Int64
    message: str
    key: str | None = None
    timestamp: float | _Int64 | str | None = None


class NameGroup(Request):
    """What names a group."""

    consumer_group_name: str


class Register(Request):
    """What names a group and a consumer in it."""

    consumer_group_name: str
    consumer_name: str


class NameConsumer(Request):
    """What names a consumer."""

    consumer_name: str


class TopicList(Request):
    """A consumer, and topics with commas between them."""

    consumer_name: str
    topic_list: str

    def names(self) -> list[str]:
        """The names of the list. Raises Refusal (member-value) for an empty list or item."""
        names = [name.strip(" ") for name in self.topic_list.split(",")]
        if not all(names):
            raise Refusal(
                "member-value", "topic_list is not a list of names with commas between them", "topic_list"
            )
        return names


class Poll(Request):
    """`max_messages` is of the extension batch-poll, `wait_seconds` (seconds) of long-poll."""

    consumer_name: str
    max_messages: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    wait_seconds: Annotated[float, msgspec.Meta(ge=0)] | msgspec.UnsetType = msgspec.UNSET


class Settle(Request):
    """The id of a record in flight, as a number or a decimal string (ACK-OK-2)."""

    consumer_name: str
    message_id: int | str

    def number(self) -> int:
        """The id as a number. Raises Refusal (member-value) for what can be no id (ACK-BAD-1)."""
        value = self.message_id
        if isinstance(value, str):
            if not (value.isascii() and value.isdigit() and len(value) <= 19):
                raise Refusal("member-value", "message_id is not a decimal number", "message_id")
            value = int(value)
        if not 0 <= value <= _HIGHEST_ID:
            raise Refusal("member-value", "message_id is outside of what an id can be", "message_id")
        return value


class AdvanceGroup(Request):
    """Seconds by which the time of a group moves on (CLOCK-3, CLOCK-4)."""

    consumer_group_name: str
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)]


SomeRequest = TypeVar("SomeRequest", bound=Request)


def decode(decoder: msgspec.json.Decoder[SomeRequest], body: bytes) -> SomeRequest:
    """Decode a body. Raises Refusal: body-not-json, body-not-object, member-missing, member-type, member-value."""
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look into what it skips, but REFUSE-5 is about the whole body
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason = str(error)
    except _NOT_JSON as error:
        raise _not_json(error, body) from None
    try:  # the decoder stops at the first member that it cannot take: the rest may be no JSON
        msgspec.json.decode(body)
    except _NOT_JSON as error:
        raise _not_json(error, body) from None
    raise _invalid(reason)


def _not_json(error: Exception, body: bytes) -> Refusal:
    hint = "; \\ud800 to \\udfff stand for a character only in pairs" if _HALF_PAIR.search(body) else ""
    return Refusal("body-not-json", f"the body is not JSON: {error}{hint}")


def _invalid(said: str) -> Refusal:
    if missing := _MISSING.search(said):
        member = missing.group(1)
        return Refusal("member-missing", f"the member {member} is missing", member)
    at = _MEMBER.search(said)
    if at is None:
        return Refusal("body-not-object", f"the body is not a JSON object: {said}")
    member = at.group(1)
    expected = said.partition(" - at ")[0]
    # A number out of range is a bad value, any other mismatch a bad type.
    cause = "member-type" if ", got " in expected else "member-value"
    return Refusal(cause, f"{member}: {expected}", member)


def decoder_of(kind: type[SomeRequest]) -> msgspec.json.Decoder[SomeRequest]:
    """A decoder for bodies of one kind."""
    return msgspec.json.Decoder(kind)


def label_of(body: bytes) -> str | int | None:
    """The producer's messageID in a body that was refused, or None where it has none that can be echoed."""
    try:
        value = msgspec.json.decode(body)
    except _NOT_JSON:
        return None
    label = value.get("messageID") if isinstance(value, dict) else None
    if isinstance(label, int) and not isinstance(label, bool):
        return label if -(2**63) <= label <= _HIGHEST_ID else None
    return label if isinstance(label, str) else None
