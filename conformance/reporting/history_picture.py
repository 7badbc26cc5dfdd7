"""Picture of a history: lanes of partitions in time, with records, owners, acknowledgements, evictions and anomalies.

The picture is an element with its data as JSON; `SCRIPT` draws all pictures of a page on canvases, and moves them.
"""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from conformance.history.events import (
    NEVER,
    Acknowledge,
    ConsumerEvent,
    Cut,
    Fault,
    GiveBack,
    Heal,
    Heartbeat,
    Poll,
    Publish,
    Register,
    Restart,
    Unregister,
)
from conformance.history.file_encoding import outcome_of
from conformance.reporting.judgement_text import event_line
from conformance.reporting.octets import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.history.events import Event, History
    from conformance.history.server_parameters import Anomaly

#: Events that a picture has at most: those around the first anomaly, or else the first ones.
MOST_EVENTS = 20_000
#: Marks that a picture has at most; a poll has one for each record.
MOST_MARKS = 40_000
#: Anomalies that are marked.
MOST_ANOMALIES = 100

STYLE = files("conformance.reporting").joinpath("history_picture.css").read_text("utf-8")
SCRIPT = files("conformance.reporting").joinpath("history_picture.js").read_text("utf-8")


def picture(history: History, anomalies: Sequence[Anomaly], title: str) -> str:
    """HTML of one picture; `STYLE` and `SCRIPT` belong once to the page."""
    shown = _around(history, anomalies)
    data = json.dumps(_Data(shown, anomalies).document()).replace("<", "\\u003c")
    left_out = (
        f"{len(history) - len(shown)} of {len(history)} events are left out."
        if len(shown) < len(history)
        else ""
    )
    return (
        f'<figure class="history"><figcaption>{escape(one_line(title))} {left_out}</figcaption>'
        '<div class="history-tools"><button type="button" data-act="out" aria-label="Zoom out">&minus;</button>'
        '<button type="button" data-act="in" aria-label="Zoom in">+</button>'
        '<button type="button" data-act="left" aria-label="Earlier">←</button>'
        '<button type="button" data-act="right" aria-label="Later">→</button>'
        '<button type="button" data-act="all">All</button>'
        '<button type="button" data-act="next">Next anomaly</button></div>'
        '<div class="history-legend"></div>'
        '<canvas tabindex="0" role="img" aria-label="Partitions in time. Arrow keys move, plus and minus zoom, N goes '
        'to the next anomaly, 0 shows all."></canvas>'
        '<p class="history-said" aria-live="polite"></p>'
        f'<script type="application/json">{data}</script></figure>'
    )


def _around(history: History, anomalies: Sequence[Anomaly]) -> list[Event]:
    ordered = sorted(history, key=lambda event: event.invoked)
    if len(ordered) <= MOST_EVENTS:
        return ordered
    middle = 0
    if anomalies:
        first = anomalies[0].events[0].invoked
        middle = sum(event.invoked < first for event in ordered)
    start = max(0, min(middle - MOST_EVENTS // 2, len(ordered) - MOST_EVENTS))
    return ordered[start : start + MOST_EVENTS]


class _Data:
    """The data of one picture: lanes, consumers, marks and anomalies.

    A lane is a partition in a group, or a key in a group where positions are not known.
    """

    def __init__(self, events: Sequence[Event], anomalies: Sequence[Anomaly]) -> None:
        self._events = events
        self._anomalies = anomalies[:MOST_ANOMALIES]
        self._place_of: dict[tuple[str, str], str] = {}
        self._group_of = {event.consumer: event.group for event in events if isinstance(event, Register)}
        self._consumers: dict[str, int] = {}
        self._find_places()
        self._groups_of: dict[str, dict[str, None]] = {place: {} for place in self._place_of.values()}
        for event in events:
            if isinstance(event, Poll):
                for record in event.records:
                    place = self._place_of.get((record.topic, record.text))
                    if place is not None:
                        self._groups_of[place][self._group_of.get(event.consumer, "")] = None
        several = len({group for groups in self._groups_of.values() for group in groups}) > 1
        lanes = [(place, group) for place, groups in self._groups_of.items() for group in groups or [""]]
        lanes.sort(key=lambda lane: (_natural(lane[0]), lane[1]))
        self._lanes = {lane: number for number, lane in enumerate(lanes)}
        self._names = [f"{place} {one_line(group)}" if several and group else place for place, group in lanes]

    def _find_places(self) -> None:
        """The partition of each record, or its key."""
        for event in self._events:
            if isinstance(event, Publish) and event.partition is not None:
                self._place(event.topic, event.text, f"P{event.partition}")
            elif isinstance(event, Poll):
                for record in event.records:
                    if record.partition is not None:
                        self._place(record.topic, record.text, f"P{record.partition}")
        for event in self._events:
            if isinstance(event, Publish):
                self._place(event.topic, event.text, f"key {event.key}" if event.key else "no key")
            elif isinstance(event, Poll):
                for record in event.records:
                    self._place(record.topic, record.text, f"key {record.key}" if record.key else "no key")

    def _place(self, topic: str, text: str, place: str) -> None:
        self._place_of.setdefault((topic, text), one_line(f"{topic} {place}"))

    def document(self) -> dict[str, Any]:
        """Marks are lists of kind, lane, beginning, end, consumer, outcome, line and anomalies; numbers are indexes.

        Times are in seconds. A lane of -1 is that of the members. `held` are spans in which a consumer held a record,
        each a list of lane, beginning, end and consumer. `faults` are spans, each a list of beginning, end and name.
        """
        proofs: dict[int, list[int]] = {}
        for number, anomaly in enumerate(self._anomalies):
            for event in anomaly.events:
                proofs.setdefault(id(event), []).append(number)
        marks: list[list[Any]] = []
        lines: list[str] = []
        last: Event | None = None
        held: list[list[Any]] = []
        in_flight: dict[tuple[str, int | str], tuple[int, float]] = {}
        for event in self._events:
            of_event = proofs.get(id(event), [])
            ended = event.completed if event.completed < NEVER else None
            for kind, lane, who in self._marks(event, in_flight, held, is_proof=bool(of_event)):
                if len(marks) == MOST_MARKS:
                    break
                if not lines or last is not event:
                    lines.append(event_line(event))
                    last = event
                line = len(lines) - 1
                marks.append([kind, lane, event.invoked, ended, who, outcome_of(event), line, of_event])
        for (consumer, _), (lane, since) in in_flight.items():
            held.append([lane, since, None, self._consumers[consumer]])
        return {
            "lanes": self._names,
            "consumers": [one_line(name) for name in self._consumers],
            "lines": lines,
            "marks": marks,
            "held": held,
            "faults": _faults(self._events),
            "anomalies": [
                {"name": one.name, "clause": one.clause, "text": one_line(one.message)}
                for one in self._anomalies
            ],
        }

    def _marks(
        self,
        event: Event,
        in_flight: dict[tuple[str, int | str], tuple[int, float]],
        held: list[list[Any]],
        *,
        is_proof: bool,
    ) -> Iterable[tuple[str, int, int]]:
        """Marks of an event: kind, lane, consumer. Spans in which a record was held begin and end with them."""
        if isinstance(event, Publish):
            place = self._place_of[event.topic, event.text]
            for group in self._groups_of[place] or [""]:
                yield "publish", self._lanes[place, group], -1
        elif isinstance(event, Restart | Fault | Heal):
            yield type(event).__name__.lower(), -1, -1
        elif isinstance(event, ConsumerEvent):
            who = self._consumers.setdefault(event.consumer, len(self._consumers))
            if isinstance(event, Poll):
                group = self._group_of.get(event.consumer, "")
                for record in event.records:
                    lane = self._lanes[self._place_of[record.topic, record.text], group]
                    in_flight[event.consumer, record.message_id] = lane, event.completed
                    yield "deliver", lane, who
                if event.refused or (is_proof and not event.records):
                    yield "gone" if event.refused else "empty", -1, who
            elif isinstance(event, Acknowledge | GiveBack):
                lane, since = in_flight.pop((event.consumer, event.message_id), (-1, event.invoked))
                if lane >= 0:
                    held.append([lane, since, event.invoked, who])
                yield "acknowledge" if isinstance(event, Acknowledge) else "give back", lane, who
            elif not isinstance(event, Heartbeat):
                kind = (
                    "cut" if isinstance(event, Cut) else "leave" if isinstance(event, Unregister) else "join"
                )
                yield kind, -1, who
            elif event.refused or is_proof:
                yield "gone" if event.refused else "beat", -1, who


def _faults(events: Sequence[Event]) -> list[list[Any]]:
    """Spans from each fault to the heal after it, or to its own end without one."""
    spans: list[list[Any]] = []
    for event in events:
        if isinstance(event, Fault):
            spans.append([event.invoked, event.completed, one_line(event.name)])
        elif isinstance(event, Heal) and spans:
            spans[-1][1] = event.completed
    return spans


def _natural(name: str) -> tuple[str, int, str]:
    head, _, number = name.rpartition(" P")
    return (head, int(number), "") if head and number.isdecimal() else (name, -1, name)
