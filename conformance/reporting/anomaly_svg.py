"""Picture of one anomaly as a small SVG without scripts: a column for each client, time downward, the proof marked."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from conformance.history.events import (
    NEVER,
    ConsumerEvent,
    Cut,
    Event,
    GiveBack,
    Heartbeat,
    Poll,
    Publish,
    Register,
    Restart,
    Settle,
    Unregister,
)
from conformance.history.file_encoding import outcome_of
from conformance.reporting.octets import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.history.events import History
    from conformance.history.server_parameters import Anomaly

#: Events of a picture at most, and characters of a name and of a line of the heading.
MOST_EVENTS, NAME, HEADING = 24, 26, 120
#: Sizes in pixels.
_TIME, _COLUMN, _ROW, _HEAD, _LINE = 92, 236, 30, 28, 18
_COLORS = {
    "publish": "#6b7280",
    "poll": "#1d4ed8",
    "acknowledge": "#15803d",
    "give back": "#b45309",
    "join": "#475569",
    "leave": "#475569",
    "connection ends": "#475569",
    "restart": "#7c3aed",
}
_PROOF = "#dc2626"

_Record = tuple[str, str]


@dataclass(frozen=True)
class _Row:
    event: Event
    column: str
    kind: str
    text: str
    is_proof: bool


def anomaly_svg(history: History, anomaly: Anomaly) -> str:
    """An SVG document of the anomaly: the events about its records and its consumers, the latest before its end."""
    rows, left_out = _rows(history, anomaly)
    columns = list(dict.fromkeys(row.column for row in rows))
    heading = _heading(f"{anomaly.name}: {one_line(anomaly.message)}")
    top = 12 + _LINE * len(heading) + _HEAD
    width = max(_TIME + _COLUMN * len(columns), 7 * max(map(len, heading)), 640) + 12
    height = top + _ROW * len(rows) + _LINE + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"',
        'font-family="ui-sans-serif, system-ui, sans-serif" font-size="13">',
        f"<title>{escape(anomaly.name)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_text(12, 22 + _LINE * number, line, bold=True) for number, line in enumerate(heading)),
    ]
    for number, name in enumerate(columns):
        x = _TIME + _COLUMN * number
        parts.append(_text(x + 8, top - 10, _cut(name, NAME), bold=True))
        parts.append(f'<path d="M{x} {top - _HEAD}V{top + _ROW * len(rows)}" stroke="#d1d5db"/>')
    parts += _held(rows, columns, top)
    for number, row in enumerate(rows):
        parts += _drawn(row, _TIME + _COLUMN * columns.index(row.column), top + _ROW * number)
    more = f" {left_out} further events about these records are left out." if left_out else ""
    legend = (
        f"Red: the events that prove it. Blue bar: record held. Seconds since the beginning, + length.{more}"
    )
    parts.append(_text(12, height - 12, legend, small=True))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rows(history: History, anomaly: Anomaly) -> tuple[list[_Row], int]:
    """The rows in the order of their beginnings, and the number of related events that are left out."""
    delivered = {
        (event.consumer, record.message_id): (record.topic, record.text)
        for event in history
        if isinstance(event, Poll)
        for record in event.records
    }
    proof = set(anomaly.events)
    records = {record for event in anomaly.events for record in _records(event, delivered)}
    consumers = {event.consumer for event in anomaly.events if isinstance(event, ConsumerEvent)}
    group_of = {event.consumer: event.group for event in history if isinstance(event, Register)}
    groups = {group_of.get(consumer) for consumer in consumers}
    first = min((event.invoked for event in anomaly.events), default=0.0)
    last = max(map(_moment, anomaly.events), default=0.0)

    def is_related(event: Event) -> bool:
        if event in proof:
            return True
        if isinstance(event, Publish):
            return bool(records.intersection(_records(event, delivered)))
        if isinstance(event, Restart):
            return first < event.completed and event.invoked < last
        if not isinstance(event, ConsumerEvent) or isinstance(event, Heartbeat):
            return False
        if isinstance(event, Poll | Settle):
            in_group = group_of.get(event.consumer) in groups
            refused = (
                isinstance(event, Poll)
                and event.refused
                and event.consumer in consumers
                and event.invoked <= last
            )
            return refused or (in_group and bool(records.intersection(_records(event, delivered))))
        return (
            isinstance(event, Register | Unregister) and event.consumer in consumers and event.invoked <= last
        )

    related = sorted(filter(is_related, history), key=_order)
    others = sorted((one for one in related if one not in proof), key=lambda one: abs(last - _moment(one)))
    shown = proof.union(others[: max(0, MOST_EVENTS - len(proof))])
    rows = [_row(event, delivered, is_proof=event in proof) for event in related if event in shown]
    return rows[:MOST_EVENTS], len(related) - len(rows[:MOST_EVENTS])


def _moment(event: Event) -> float:
    """Time at which an event is shown: a record that a long poll waited for comes at its end."""
    return event.completed if isinstance(event, Poll) and event.records else event.invoked


def _order(event: Event) -> tuple[float, float, str]:
    return _moment(event), event.invoked, str(event)


def _records(event: Event, delivered: dict[tuple[str, int | str], _Record]) -> Iterator[_Record]:
    """Topic and text of the records of an event."""
    if isinstance(event, Publish):
        yield event.topic, event.text
    elif isinstance(event, Poll):
        yield from ((record.topic, record.text) for record in event.records)
    elif isinstance(event, Settle) and (event.consumer, event.message_id) in delivered:
        yield delivered[event.consumer, event.message_id]


def _row(event: Event, delivered: dict[tuple[str, int | str], _Record], *, is_proof: bool) -> _Row:
    texts = [f"“{one_line(text)}”" for _, text in _records(event, delivered)]
    about = ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")
    column, kind = one_line(event.process), type(event).__name__.lower()
    if isinstance(event, Publish):
        place = f" at {event.partition}/{event.offset}" if event.partition is not None else ""
        column, about = "producers", f"{about}{place}{f', {one_line(event.key)}' if event.key else ''}"
    elif isinstance(event, Restart):
        column, kind = "system", "restart"
    elif isinstance(event, ConsumerEvent):
        column = one_line(event.consumer)
    if isinstance(event, Poll):
        about = f"→ {about or outcome_of(event) if not event.empty else 'nothing'}"
    elif isinstance(event, Cut):
        kind = "connection ends"
    elif isinstance(event, Unregister | Register | GiveBack):
        kind = {Unregister: "leave", Register: "join", GiveBack: "give back"}[type(event)]
    if not isinstance(event, Poll | Cut | Restart) and outcome_of(event) != "ok":
        about = f"{about}: {outcome_of(event)}"
    return _Row(event, column, kind, about, is_proof)


def _held(rows: list[_Row], columns: list[str], top: int) -> Iterator[str]:
    """A band in the column of a consumer from each delivery to the settlement of the record."""
    for number, row in enumerate(rows):
        if not isinstance(row.event, Poll):
            continue
        for record in row.event.records:
            end = next(
                (
                    later
                    for later in range(number + 1, len(rows))
                    if isinstance(one := rows[later].event, Settle)
                    and (one.consumer, one.message_id) == (row.event.consumer, record.message_id)
                ),
                number,
            )
            x = _TIME + _COLUMN * columns.index(row.column)
            y = top + _ROW * number + _ROW // 2
            yield f'<rect x="{x + 3}" y="{y}" width="4" height="{_ROW * (end - number)}" fill="#93c5fd"/>'


def _drawn(row: _Row, x: int, y: int) -> Iterator[str]:
    event, color = row.event, _COLORS.get(row.kind, "#475569")
    length = f" +{event.completed - event.invoked:.3f}" if event.completed < NEVER else ""
    yield _text(12, y + 19, f"{event.invoked:.3f}{length}", small=True)
    stroke = f'stroke="{_PROOF}" stroke-width="2.5"' if row.is_proof else f'stroke="{color}"'
    yield (
        f'<rect x="{x + 10}" y="{y + 3}" width="{_COLUMN - 18}" height="{_ROW - 6}" rx="4" fill="{color}" '
        f'fill-opacity="0.1" {stroke}/>'
    )
    yield _text(x + 18, y + 20, _cut(f"{row.kind} {row.text}", 32), color=color)


def _heading(text: str) -> list[str]:
    """The text in lines of at most `HEADING` characters, four of them."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= HEADING:
            lines.append("")
        lines[-1] = f"{lines[-1]} {_cut(word, HEADING)}".strip()
    return lines[:4]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(
    x: int, y: int, text: str, *, bold: bool = False, small: bool = False, color: str = "#111827"
) -> str:
    more = ' font-weight="600"' if bold else ""
    more += ' font-size="11"' if small else ""
    return f'<text x="{x}" y="{y}" fill="{color}"{more}>{escape(text)}</text>'
