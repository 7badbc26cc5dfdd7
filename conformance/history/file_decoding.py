"""Facts and events from lines of a history file, with a message for each mistake (spec/histories.md)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from conformance.history.events import (
    NEVER,
    Cut,
    Event,
    Poll,
    PolledRecord,
    Register,
    Restart,
    Subscribe,
)
from conformance.history.file_encoding import OPS
from conformance.history.system_facts import (
    FORMAT,
    KIND,
    STARTS,
    TELLS,
    TIMINGS,
    BadHistory,
    SystemFacts,
    quoted,
)

_BY_OP: dict[str, type[Event]] = {op: kind for kind, op in OPS.items()}
NAMES = tuple(sorted([*_BY_OP, "join"]))
#: Largest time of a history, in seconds: times in nanoseconds are a mistake.
MOST_SECONDS = 1e12
_STATUS = {"ok": 200, "refused": 409, "failed": 500, "unknown": None}


def decoded_header(document: object) -> SystemFacts:
    """The facts of a first line. Raises BadHistory, without the number of the line."""
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise BadHistory(
            f'expected facts about the system, an object with "kind": "{KIND}" and "format": {FORMAT}, found '
            f"{quoted(document)}"
        )
    if document.get("format") != FORMAT:
        raise BadHistory(f'"format": expected {FORMAT}, found {quoted(document.get("format"))}')
    members = _Members(document)
    system = members.get("system", _object, {})
    timings, partitions = members.get("timings", _object, {}), members.get("partitions", _object, {})
    tells = members.get("tells", _texts, ())
    for tell in tells:
        if tell not in TELLS:
            raise BadHistory(f'"tells": expected some of {", ".join(TELLS)}, found {quoted(tell)}')
    starts = members.get("starts", _text, STARTS[0])
    if starts not in STARTS:
        raise BadHistory(f'"starts": expected one of {", ".join(STARTS)}, found {quoted(starts)}')
    promises = members.get("promises", _texts, None)
    return SystemFacts(
        title=members.get("title", _text, ""),
        name=_Members(system).get("name", _text, ""),
        version=_Members(system).get("version", _text, ""),
        timings={
            name: _Members(timings).get(name, _length, 0.0)
            for name in TIMINGS
            if timings.get(name) is not None
        },
        partitions={topic: _Members(partitions).get(topic, _positive, 1) for topic in partitions},
        tells=frozenset(tells),
        frees=members.get("frees", _boolean, False),
        starts=starts,
        promises=None if promises is None else tuple(promises),
    )


def decoded_events(document: object) -> Iterator[Event]:
    """The events of a line: two for `join`, else one. Raises BadHistory, without the number of the line."""
    if not isinstance(document, dict):
        raise BadHistory(f"expected an object, found {quoted(document)}")
    members = _Members(document)
    op = members.need("op", _text)
    common = _common(members)
    if op == "join":
        consumer = members.need("consumer", _text)
        yield Register(consumer=consumer, group=members.need("group", _text), **common)
        yield Subscribe(consumer=consumer, topics=members.need("topics", _texts), **common)
        return
    kind = _BY_OP.get(op)
    if kind is None:
        raise BadHistory(f'"op": expected one of {", ".join(NAMES)}, found {quoted(op)}')
    if kind in (Cut, Restart) and common["status"] is not None:
        raise BadHistory(f'"outcome": expected "unknown" for {op}, found {quoted(document["outcome"])}')
    if kind is Poll and common["status"] == _STATUS["ok"] and "status" not in document:
        common["status"] = 200 if document.get("records") else 204
    yield kind(**_OF_KIND[op](members), **common)


def _common(members: "_Members") -> dict[str, Any]:
    outcome = members.need("outcome", _text)
    if outcome not in _STATUS:
        raise BadHistory(f'"outcome": expected one of {", ".join(_STATUS)}, found {quoted(outcome)}')
    status: int | None = _STATUS[outcome]
    begin = members.need("begin", _number)
    group_begin = members.get("group_begin", _number, begin)
    if outcome == "unknown":
        if members.get("status", _count, None) is not None:
            raise BadHistory('"status": expected none, since no answer came (outcome unknown)')
        end = group_end = NEVER
        if members.document.get("op") == "restart":
            end = members.need("end", _number)
    else:
        end = members.need("end", _number)
        group_end = members.get("group_end", _number, end)
        told = members.get("status", _count, None)
        if told is not None:
            if _outcome_of_status(told) != outcome:
                raise BadHistory(
                    f'"status": expected one that fits the outcome {outcome}, found {told}: {_FITTING[outcome]}'
                )
            status = told
    if end < begin:
        raise BadHistory(f'"end": expected a time from "begin" on, {begin:g}, found {end:g}')
    if group_end < group_begin:
        raise BadHistory(
            f'"group_end": expected a time from "group_begin" on, {group_begin:g}, found {group_end:g}'
        )
    return {
        "process": members.need("process", _text),
        "invoked": begin,
        "completed": end,
        "group_time_began": group_begin,
        "group_time_ended": group_end,
        "status": status,
    }


_FITTING = {
    "ok": "that is 200 to 299",
    "refused": "that is 400 to 499, or 507",
    "failed": "that is any but 200 to 299, 400 to 499 and 507",
}


def _outcome_of_status(status: int) -> str:
    if 200 <= status < 300:
        return "ok"
    return "refused" if 400 <= status < 500 or status == 507 else "failed"


class _Members:
    """Members of an object, each read by a function that raises ValueError with what was expected."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def need(self, name: str, read: Callable[[Any], Any]) -> Any:
        """A member that must be there. Raises BadHistory."""
        if name not in self.document:
            op = self.document.get("op")
            raise BadHistory(
                f'"{name}" is missing' + (f" from a {op}" if isinstance(op, str) and name != "op" else "")
            )
        try:
            return read(self.document[name])
        except ValueError as error:
            raise BadHistory(f'"{name}": expected {error}, found {quoted(self.document[name])}') from None

    def get(self, name: str, read: Callable[[Any], Any], default: Any) -> Any:
        """A member that may be missing or null. Raises BadHistory."""
        return default if self.document.get(name) is None else self.need(name, read)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _key(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError("a string")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of strings")
    return tuple(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _number(value: Any) -> float:
    # A comparison also takes integers that no float can hold, and is false for what is not finite.
    if type(value) in (float, int) and -MOST_SECONDS <= value <= MOST_SECONDS:
        return float(value)
    raise ValueError(f"a number of seconds, from {-MOST_SECONDS:g} to {MOST_SECONDS:g}")


def _length(value: Any) -> float:
    seconds = _number(value)
    if seconds < 0:
        raise ValueError("seconds from 0")
    return seconds


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a whole number from 0")
    return value


def _positive(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("a whole number from 1")
    return value


def _id(value: Any) -> int | str:
    if type(value) is not int and type(value) is not str:
        raise ValueError("a string or a whole number")
    return value


def _told(value: Any) -> str:
    if value not in ("ACK", "FAILED"):
        raise ValueError("ACK or FAILED")
    return str(value)


def _records(value: Any) -> tuple[PolledRecord, ...]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("a list of records, each an object")
    return tuple(_record(_Members(one)) for one in value)


def _record(members: _Members) -> PolledRecord:
    try:
        return PolledRecord(
            members.need("id", _id),
            members.need("topic", _text),
            members.need("text", _text),
            members.get("key", _key, None),
            members.get("partition", _count, None),
            members.get("offset", _count, None),
            members.get("redelivered", _boolean, None),
            "key" in members.document,
        )
    except BadHistory as error:
        raise BadHistory(f'"records": {error}') from None


def _publish(members: _Members) -> dict[str, Any]:
    text = members.need("text", _text)
    return {
        "topic": members.need("topic", _text),
        "text": text,
        "label": members.get("label", _id, text),
        "key": members.get("key", _key, None),
        "partition": members.get("partition", _count, None),
        "offset": members.get("offset", _count, None),
    }


def _consumer(members: _Members) -> dict[str, Any]:
    return {"consumer": members.need("consumer", _text)}


def _polled(members: _Members) -> dict[str, Any]:
    is_ok = members.document.get("outcome") == "ok"
    records = members.need("records", _records) if is_ok else members.get("records", _records, ())
    if records and not is_ok:
        raise BadHistory('"records": expected none, since the outcome is not ok')
    return {**_consumer(members), "records": records}


def _advanced(members: _Members) -> dict[str, Any]:
    for name in ("group_begin", "group_end"):
        members.need(name, _number)
    return {"group": members.need("group", _text)}


_OF_KIND: dict[str, Callable[[_Members], dict[str, Any]]] = {
    "publish": _publish,
    "register": lambda members: {**_consumer(members), "group": members.need("group", _text)},
    "subscribe": lambda members: {**_consumer(members), "topics": members.need("topics", _texts)},
    "unsubscribe": lambda members: {**_consumer(members), "topics": members.need("topics", _texts)},
    "leave": _consumer,
    "cut": _consumer,
    "poll": _polled,
    "acknowledge": lambda members: {**_consumer(members), "message_id": members.need("id", _id)},
    "give-back": lambda members: {**_consumer(members), "message_id": members.need("id", _id)},
    "heartbeat": _consumer,
    "restart": lambda _members: {},
    "advance": _advanced,
    "listen": lambda members: {
        "subscription": members.need("subscription", _text),
        "topic": members.need("topic", _text),
        "clause": members.get("clause", _text, "PUB-ACK-1"),
    },
    "told": lambda members: {
        "subscription": members.need("subscription", _text),
        "label": members.get("label", _id, None),
        "outcome": members.need("told", _told),
    },
    "fault": lambda members: {"name": members.need("name", _text)},
    "heal": lambda _members: {},
    "fence": lambda members: {"subscription": members.need("subscription", _text)},
}
