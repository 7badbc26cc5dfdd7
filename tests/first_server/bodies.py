"""Bodies of requests: JSON objects, and the members that operations take from them."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from tests.first_server.faults import (
    EMPTY_AT_END,
    EMPTY_NAME,
    MISSING_TEXT,
    NEGATIVE_ID,
    NUMBER_FOR_TEXT,
    SLASHED_NAME,
    TEXT_ID,
    TRAILING_OCTETS,
)

if TYPE_CHECKING:
    from tests.first_server.faults import Faults

HIGHEST = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Refused(Exception):
    """An operation is refused; the message says why."""


class Failed(Exception):
    """The server failed on a request: status 500, which only a fault causes (J12d)."""


class Body:
    """The JSON object of a request."""

    def __init__(self, octets: bytes, faults: Faults) -> None:
        """Raises Refused unless the octets are a JSON object in UTF-8 (REFUSE-5)."""
        self.faults = faults
        try:
            text = octets.decode()
            document = _first_value(text) if TRAILING_OCTETS in faults else _only_value(text)
        except (ValueError, RecursionError) as error:
            raise Refused(f"the body is not JSON in UTF-8: {error}") from None
        if not isinstance(document, dict):
            raise Refused("the body is not a JSON object")
        self._members: dict[str, Any] = document

    def text(self, member: str) -> str:
        """A required string."""
        value = self._members.get(member)
        if value is None and MISSING_TEXT in self.faults:
            return "null"
        return self._string(member, value)

    def new_name(self, member: str) -> str:
        """The name of a topic, group or consumer to be created; raises Refused for those of NAME-2."""
        name = self.text(member)
        is_empty = name == "" and EMPTY_NAME not in self.faults
        is_slashed = "/" in name and SLASHED_NAME not in self.faults
        if is_empty or is_slashed or name in {".", ".."} or "," in name or _CONTROL.search(name):
            raise Refused(f"{member} {name!r} is no name")
        return name

    def topic_list(self) -> list[str]:
        """The names in `topic_list`, each once. An empty name among them is refused."""
        names = self.text("topic_list").split(",")
        if EMPTY_AT_END in self.faults:
            while names and not names[-1]:
                names.pop()
        if "" in names and EMPTY_NAME not in self.faults:
            raise Refused("topic_list has an empty name")
        return list(dict.fromkeys(names))

    def message_id(self) -> int:
        """The id of an acknowledgement: a number or a string of digits, from 0 to 2**63 - 1 (ACK-OK-2, ACK-BAD-1)."""
        value = self._members.get("message_id")
        lowest = -HIGHEST if NEGATIVE_ID in self.faults else 0
        if isinstance(value, str):
            value = _integer(value)
            if value is None and TEXT_ID in self.faults:
                raise Failed("message_id is no number")
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= HIGHEST:
            raise Refused("message_id is no id")
        return value

    def label(self) -> str | int:
        """The producer's `messageID`: a string, or an integer of 64 bits."""
        value = self._members.get("messageID")
        if isinstance(value, int) and not isinstance(value, bool) and -HIGHEST - 1 <= value <= HIGHEST:
            return value
        if MISSING_TEXT in self.faults and value is None:
            return "null"
        if not isinstance(value, str):
            raise Refused("messageID is neither a string nor an integer of 64 bits")
        return self._string("messageID", value)

    def label_to_tell(self) -> str | int | None:
        """The `messageID` for the acknowledgement FAILED; None if none can be echoed."""
        try:
            return self.label()
        except Refused:
            return None

    def key(self) -> str | None:
        """The `key`, None if the record has none."""
        value = self._members.get("key")
        return None if value is None else self._string("key", value)

    def timestamp(self) -> float | str:
        """The given `timestamp`, or the server's time in milliseconds since 1970."""
        value = self._members.get("timestamp")
        if value is None:
            return time.time_ns() // 1_000_000
        if isinstance(value, str):
            return self._string("timestamp", value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused("timestamp is neither a number nor a string")
        return value

    def _string(self, member: str, value: object) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and NUMBER_FOR_TEXT in self.faults:
            return json.dumps(value)
        if not isinstance(value, str):
            raise Refused(f"{member} is missing or no string")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused(f"{member} has half of a surrogate pair") from None
        return value


def _integer(text: str) -> int | None:
    """The number that the text spells in decimal digits; None for other texts."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,30}", text, re.ASCII) else None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _only_value(text: str) -> Any:
    return _DECODER.decode(text)


def _first_value(text: str) -> Any:
    """J13e: the value at the beginning of the text; the rest is ignored."""
    value, _end = _DECODER.raw_decode(text.lstrip(" \t\r\n"))
    return value
