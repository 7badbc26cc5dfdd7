"""Bodies as RFC 8259 lets a client write them: REFUSE-9."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status, refused
from conformance.suite.queue.fixture import POLL, QueueFixture, publish_path
from conformance.suite.queue.operation_table import PreparedQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench


def _escaped(text: str) -> str:
    """A string of JSON whose first and last characters are escapes."""
    if not text:
        return '""'
    first, rest = text[0], text[1:]
    middle, last = rest[:-1], rest[-1:]
    ends = [f"\\u{ord(character):04x}" for character in (first, last) if character]
    return f'"{ends[0]}{json.dumps(middle)[1:-1]}{"".join(ends[1:])}"'


def _with_escapes(body: dict[str, Any]) -> bytes:
    pairs = [
        f"{json.dumps(name)}:{_escaped(value) if isinstance(value, str) else json.dumps(value)}"
        for name, value in body.items()
    ]
    return f"{{{','.join(pairs)}}}".encode()


def _with_escaped_names(body: dict[str, Any]) -> bytes:
    pairs = [f"{_escaped(name)}:{json.dumps(value)}" for name, value in body.items()]
    return f"{{{','.join(pairs)}}}".encode()


def _with_blanks(body: dict[str, Any]) -> bytes:
    pairs = [f'\t"{name}" :\r\n {json.dumps(value)} ' for name, value in reversed(body.items())]
    return f" \r\n\t{{ {' , '.join(pairs)}\n}} \t\r\n\n".encode()


#: Strings of JSON in which each escape of RFC 8259 stands once, and their text.
ESCAPES = (
    (r'"\" \\ \/ \b \f \n \r \t"', '" \\ / \b \f \n \r \t'),
    (r'"\ud83d\ude00 \uD83D\uDE00 \u00e9\u00E9"', "\U0001f600 \U0001f600 \u00e9\u00e9"),
    (r'"\\ud83d \\n \\/"', "\\ud83d \\n \\/"),
)

#: Numbers of JSON in the spellings of RFC 8259, none of them a large one.
NUMBERS = ("0", "-0", "0.0", "-1.5", "1e1", "1E1", "1e+1", "1E+1", "15e-1", "1.5E-1", "0E0")
#: Seconds of a wait in such spellings.
SECONDS = ("1E-2", "1e-2", "0.1E-1", "0E1")

SPELLINGS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "escapes": _with_escapes,
    "escapes in names": _with_escaped_names,
    "blanks": _with_blanks,
}


@clauses("REFUSE-9")
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_body_may_be_spelled_in_any_way(bench: Bench, spelling: Callable[[dict[str, Any]], bytes]) -> None:
    """Send each operation with escapes in its strings, or in the names of its members, or with blanks and line ends
    between all of its parts; expect it to succeed.
    """
    prepared = PreparedQueue(bench)
    for operation, path, body in prepared.sequence():
        reply = prepared.queue.call(path, spelling(body))
        bench.judge(
            "REFUSE-9",
            reply.status in operation.success,
            expected=f"{' or '.join(map(str, operation.success))} for {spelling(body).decode()}",
            observed=reply,
        )


@clauses("REFUSE-9")
def test_every_escape_stands_for_its_character(bench: Bench) -> None:
    """Publish records whose keys and messages are spelled by every escape of JSON, also by pairs of them; expect the
    characters for which they stand.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for spelled, text in ESCAPES:
        body = f'{{"messageID":"1","key":{spelled},"message":{spelled}}}'
        reply = queue.call(publish_path(topic), body.encode())
        expect_status(bench, reply, 200, "REFUSE-9", f"{body} is JSON")
        record = queue.poll_until_record(consumer, "REFUSE-9")
        bench.judge(
            "REFUSE-9",
            (record.message, record.key) == (text, text),
            expected=f"the message and the key {text!r}, spelled {spelled}",
            observed=record.whole,
        )
        queue.acknowledge(consumer, record.message_id)


@clauses("REFUSE-9")
def test_every_spelling_of_a_number_is_one(bench: Bench) -> None:
    """Publish records with timestamps in every spelling of a number, and poll with such seconds; expect success."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in NUMBERS:
        body = f'{{"messageID":"1","message":"m","timestamp":{number}}}'
        reply = queue.call(publish_path(topic), body.encode())
        expect_status(bench, reply, 200, "REFUSE-9", f"{body} is JSON, with a number as timestamp")
    for number in SECONDS if bench.declares("long-poll") else ():
        body = f'{{"consumer_name":{json.dumps(consumer)},"wait_seconds":{number}}}'
        reply = queue.call(POLL, body.encode())
        bench.judge(
            "REFUSE-9",
            not refused(reply),
            expected=f"no refusal: {body} is JSON, with a number of seconds",
            observed=reply,
        )
