"""History files: reading, with the line of every mistake, and writing (spec/histories.md)."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from conformance.history.events import (
    AckSubscription,
    Cut,
    Event,
    Fence,
    History,
    Poll,
    ProducerAck,
    Publish,
    Register,
    Restart,
    Settle,
)
from conformance.history.file_decoding import decoded_events, decoded_header
from conformance.history.file_encoding import event_object, header_object
from conformance.history.file_lines import documents
from conformance.history.system_facts import BadHistory, SystemFacts, quoted

#: Events between two calls of `tell`.
PROGRESS_EVENTS = 50_000


@dataclass(frozen=True)
class HistoryFile:
    """A history with the facts about its system. `length` is the number of events as the file has them."""

    name: str
    facts: SystemFacts
    events: History
    length: int


def read_history(path: Path, tell: Callable[[int], None] = lambda _events: None) -> HistoryFile:
    """The history in a file; `tell` is called with the number of events so far, every `PROGRESS_EVENTS`.

    Raises BadHistory if the file is none, with the number of the line, and OSError.
    """
    with path.open("rb") as stream:
        return read_stream(stream, str(path), tell)


def read_stream(
    stream: IO[bytes], name: str, tell: Callable[[int], None] = lambda _events: None
) -> HistoryFile:
    """The history that a stream holds. Raises as `read_history`."""
    reader = _Reader(name)
    for number, document in documents(stream, name):
        reader.add(number, document)
        if reader.length and reader.length % PROGRESS_EVENTS == 0:
            tell(reader.length)
    return reader.finished()


class _Reader:
    """The lines of one file so far."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._facts: SystemFacts | None = None
        self._events: list[Event] = []
        self._published: dict[str, dict[str, int]] = {}
        self._listening: set[str] = set()
        self._told: dict[str, int] = {}
        #: Line of each join, poll with records and settlement, by a hash of it.
        self._once: dict[int, int] = {}
        #: One object for each text that comes often, so that a long history takes less memory.
        self._texts: dict[str, str] = {}
        self.length = 0

    def add(self, number: int, document: Any) -> None:
        """Take the document of a line. Raises BadHistory."""
        try:
            if self._facts is None:
                self._facts = decoded_header(document)
                return
            _check_is_no_header(document)
            self._share(document)
            for event in decoded_events(document):
                self._check(event, number)
                self._events.append(event)
            self.length += 1
        except BadHistory as error:
            raise BadHistory(f"{self._name}, line {number}: {error}") from None

    def _share(self, document: Any) -> None:
        if isinstance(document, dict):
            for name in ("process", "consumer", "group", "topic", "key", "text"):
                value = document.get(name)
                if isinstance(value, str):
                    document[name] = self._texts.setdefault(value, value)
            for record in document.get("records") or () if isinstance(document.get("records"), list) else ():
                self._share(record)

    def _check(self, event: Event, number: int) -> None:
        if isinstance(event, Publish):
            first = self._published.setdefault(event.topic, {}).setdefault(event.text, number)
            if first != number:
                raise BadHistory(
                    f'"text": {quoted(event.text)} was published to {quoted(event.topic)} on line {first}, too: '
                    "expected a text of its own for each publish, also for one that is sent once more"
                )
        elif isinstance(event, Poll | Settle | Register):
            self._check_once(event, number)
        elif isinstance(event, AckSubscription):
            self._listening.add(event.subscription)
        elif isinstance(event, ProducerAck | Fence):
            self._told.setdefault(event.subscription, number)

    def _check_once(self, event: Poll | Settle | Register, number: int) -> None:
        """A process performs one operation at a time: no two with the same times are about the same records."""
        if (
            event.status is None
            or event.completed <= event.invoked
            or (isinstance(event, Poll) and event.empty)
        ):
            return
        about = event.records if isinstance(event, Poll) else getattr(event, "message_id", None)
        same = hash((type(event), event.process, event.consumer, event.invoked, event.completed, about))
        if (first := self._once.setdefault(same, number)) != number:
            raise BadHistory(
                f"the same operation, with the same times, is on line {first}: expected each once, one by one for each "
                "process"
            )

    def finished(self) -> HistoryFile:
        """The history, after the last line. Raises BadHistory."""
        if self._facts is None:
            raise BadHistory(f"{self._name}: expected a line with facts about the system, found no line")
        for subscription, number in self._told.items():
            if subscription not in self._listening:
                raise BadHistory(
                    f'{self._name}, line {number}: "subscription": expected the one of a listen, found '
                    f"{quoted(subscription)}"
                )
        return HistoryFile(self._name, self._facts, tuple(with_restarts(self._events)), self.length)


def _check_is_no_header(document: Any) -> None:
    if isinstance(document, dict) and "op" not in document and "kind" in document:
        raise BadHistory(
            "found facts about a system once more: expected one history in a file; give each a file of its own"
        )


def with_restarts(events: list[Event]) -> list[Event]:
    """The events and, for each restart, one `Cut` for each consumer that had begun to register before it was over."""
    restarts = [event for event in events if isinstance(event, Restart)]
    if not restarts:
        return events
    first: dict[str, Register] = {}
    for event in events:
        if isinstance(event, Register):
            known = first.setdefault(event.consumer, event)
            first[event.consumer] = min(event, known, key=lambda one: one.invoked)
    cuts = [
        Cut(
            process=restart.process,
            consumer=consumer,
            invoked=max(restart.invoked, begun.invoked),
            group_time_began=max(restart.group_time_began, begun.group_time_began),
        )
        for restart in restarts
        for consumer, begun in first.items()
        if begun.invoked <= restart.completed
    ]
    return [*events, *cuts]


def write_history(path: Path, facts: SystemFacts, events: Iterable[Event]) -> None:
    """Write a history, its events by their beginning. Raises OSError."""
    with path.open("w", encoding="utf-8") as file:
        for line in lines_of(facts, events):
            file.write(f"{line}\n")


def lines_of(facts: SystemFacts, events: Iterable[Event]) -> Iterator[str]:
    """The lines of a history file."""
    yield json.dumps(header_object(facts))
    for event in sorted(events, key=lambda event: event.invoked):
        yield json.dumps(event_object(event))
