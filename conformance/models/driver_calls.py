"""Calls of a driver, recorded so that a program can be run again in parts."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


class DriverCall(NamedTuple):
    """A call of the driver's method `name`; `published` is the number of records published before."""

    name: str
    arguments: tuple[Any, ...]
    published: int = 0


def recorded(method: _Method) -> _Method:
    """Make a method of a driver note its calls in `self.calls`; calls that the method makes are not noted."""

    @functools.wraps(method)
    def wrapper(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.is_within_call:
            return method(self, *arguments, **named)
        self.calls.append(DriverCall(method.__name__, (*arguments, *named.values()), self.published))
        self.is_within_call = True
        try:
            return method(self, *arguments, **named)
        finally:
            self.is_within_call = False

    return cast("_Method", wrapper)


class Deliveries:
    """Message ids by the text of their records, since a server gives other ids in another run."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str, int]] = {}
        self._ids: dict[tuple[str, int], int | str] = {}
        self._counts: dict[str, int] = {}

    def note(self, reply: object) -> None:
        """Note the records in the body of a poll's reply."""
        for record in _records(reply):
            message = record.get("message")
            text, number = (
                message.get("message") if isinstance(message, dict) else None,
                record.get("messageId"),
            )
            if isinstance(text, str) and isinstance(number, int | str) and str(number) not in self._texts:
                place = self._counts.get(text, 0)
                self._counts[text] = place + 1
                self._texts[str(number)] = (text, place)
                self._ids[text, place] = number

    def text_of(self, message_id: object) -> str:
        """Text of the record with this id; "" if no poll brought one."""
        return self._texts.get(str(message_id), ("", 0))[0]

    def counterpart(self, message_id: Any, here: "Deliveries") -> Any:
        """The id that `here` has for the same delivery of the same record, else for its newest one, else the id."""
        delivery = self._texts.get(str(message_id))
        if delivery is None:
            return message_id
        text, place = delivery
        newest = here._counts.get(text, 0) - 1
        found = here._ids.get((text, min(place, newest)), message_id)
        return str(found) if isinstance(message_id, str) else found


def _records(reply: object) -> Iterable[dict[str, Any]]:
    if not isinstance(reply, dict):
        return []
    batch = reply.get("records")
    return [record for record in (batch if isinstance(batch, list) else [reply]) if isinstance(record, dict)]
