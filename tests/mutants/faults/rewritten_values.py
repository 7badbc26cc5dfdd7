"""Faults in reading values as a rewrite would have them: lenient readers of JSON, and numbers of 32 bits.

Their models are the readers of other languages, each of which takes something that JSON is not: NaN, comments, commas
at the end, line ends inside of strings, UTF-16; and casts of a number to a narrower type.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.operations import Operations
from tests.mutants.editing import edit_requests
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.queue.outcomes import Outcome


def _read_also(lenient: Callable[[bytes], object]) -> None:
    """Have a body that is no JSON read by `lenient`, which raises ValueError if the body is none to it either."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        try:
            body.decode()
            msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                document = lenient(body)
            except (ValueError, RecursionError):
                pass
            else:
                body = msgspec.json.encode(document) if isinstance(document, dict) else body
        outcome: Outcome | None = original(self, path, body, **named)
        return outcome


# Lenient readers


@fault("REFUSE-5", bindings=HTTP)
def a_body_may_be_utf_16() -> None:
    """A body in UTF-16 or UTF-32 is understood: the reader finds out about the encoding by itself."""
    _read_also(lambda body: json.loads(body, parse_constant=_refuse) if b"\0" in body else _refuse())


@fault("REFUSE-5", bindings=STOMP)
def numbers_may_be_nan() -> None:
    """`NaN` and `Infinity` are numbers, and are stored as null."""
    _read_also(lambda body: json.loads(body, parse_constant=lambda _name: None))


@fault("REFUSE-5", bindings=HTTP)
def a_comma_may_end_an_object() -> None:
    """A comma may stand behind the last member of an object."""
    _read_also(lambda body: json.loads(re.sub(rb",\s*([}\]])", rb"\1", body), parse_constant=_refuse))


@fault("REFUSE-5", bindings=STOMP)
def line_ends_may_stand_in_strings() -> None:
    """Control characters may stand in a string as they are."""
    _read_also(lambda body: json.loads(body, strict=False, parse_constant=_refuse))


@fault("REFUSE-5", bindings=HTTP)
def a_body_may_have_comments() -> None:
    """Comments of C may stand in a body."""
    _read_also(lambda body: json.loads(re.sub(rb"/\*.*?\*/|//[^\n]*", b"", body), parse_constant=_refuse))


@fault("REFUSE-5", bindings=STOMP)
def names_need_no_quotes() -> None:
    """Names of members need no quotes, and may have single ones."""
    _read_also(lambda body: json.loads(re.sub(rb"([{,]\s*)'?([A-Za-z_]+)'?\s*:", rb'\1"\2":', body)))


def _refuse(_name: str = "") -> object:
    raise ValueError


# Numbers


def _cast(path: str, member: str) -> None:
    def edit(body: dict[str, Any]) -> None:
        value = body.get(member)
        if isinstance(value, int) and not isinstance(value, bool):
            body[member] = (value + 2**31) % 2**32 - 2**31

    edit_requests(path, edit)


@fault("PART-COUNT-2", bindings=HTTP)
def partitions_are_counted_in_32_bits() -> None:
    """A topic that asks for 2³² + 1 partitions gets one."""
    _cast("/topic/add-topic", "partitions")
    _cast("/addTopic", "partitions")


@fault("POLL-BATCH-2", bindings=HTTP)
def batches_are_counted_in_32_bits() -> None:
    """A poll for 2³² + 1 records gets one."""
    _cast("/consumer/poll", "max_messages")


@fault("PUB-FULL-3", bindings=STOMP)
def bounds_are_counted_in_32_bits() -> None:
    """A topic whose partitions may have 2³² + 1 octets has room for one."""
    _cast("/topic/add-topic", "partition_bytes")
    _cast("/addTopic", "partition_bytes")


@fault("ACK-UNKNOWN-1", "ACK-BAD-1", bindings=HTTP)
def ids_are_compared_in_32_bits() -> None:
    """The acknowledgement of an id that is 2³² larger than that of the record in flight settles the record."""
    _cast("/consumer/acknowledgement", "message_id")


@fault("NACK-UNKNOWN-1", bindings=STOMP)
def ids_to_give_back_are_compared_in_32_bits() -> None:
    """The negative acknowledgement of an id that is 2³² larger than that of the record in flight frees the record."""
    _cast("/consumer/negative-acknowledgement", "message_id")
