"""History files: every history survives them, and each mistake in a file is named with its line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.history.checkers import judge_history
from conformance.history.events import ConsumerEvent, Cut, Event, Fault, Heal, Poll, Register
from conformance.history.file_decoding import decoded_events
from conformance.history.file_encoding import event_object, header_object
from conformance.history.files import HistoryFile, lines_of, read_history, read_stream, write_history
from conformance.history.system_facts import BadHistory, facts_of
from conformance.specification.schemas import problems
from tests.history.cases import BAD, GOOD, Case
from tests.history.legal import some_history

HEADER = '{"kind": "history", "format": 1}'
PUBLISH: dict[str, Any] = {
    "op": "publish",
    "process": "p",
    "begin": 1,
    "end": 2,
    "outcome": "ok",
    "topic": "t",
    "text": "a",
}
POLL: dict[str, Any] = {
    "op": "poll",
    "process": "c",
    "begin": 3,
    "end": 4,
    "outcome": "ok",
    "consumer": "c",
    "records": [{"id": 1, "topic": "t", "text": "a"}],
}


def read(*lines: object) -> HistoryFile:
    """The history of lines, each a text, octets, or an object."""
    octets = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    return read_stream(io.BytesIO(b"\n".join(octets)), "h.jsonl")


@pytest.mark.parametrize("case", [*BAD, *GOOD], ids=str)
def test_a_history_that_went_through_a_file_is_the_same(case: Case, tmp_path: Path) -> None:
    """Events and parameters come back as they were, every line fits the schema, and the verdicts are the same."""
    story = case.tell()
    path = tmp_path / "history.jsonl"
    write_history(path, facts_of(story.parameters), story.history)
    lines = path.read_text("utf-8").splitlines()
    assert [problem for line in lines for problem in problems("history", json.loads(line))] == []
    file = read_history(path)
    assert sorted(map(str, file.events)) == sorted(map(str, story.history))
    of_consumers = {event for event in story.history if isinstance(event, ConsumerEvent)}
    assert {event for event in file.events if isinstance(event, ConsumerEvent)} == of_consumers
    before = judge_history(story.history, story.parameters)
    after = judge_history(file.events, file.facts.parameters())
    assert [str(anomaly) for anomaly in after] == [str(anomaly) for anomaly in before]


@pytest.mark.parametrize("seed", range(0, 24, 3))
def test_a_recorded_run_went_through_a_file_unharmed(seed: int, tmp_path: Path) -> None:
    """Recorded runs with overlaps, unknown outcomes and virtual time come back as they were."""
    history, parameters = some_history(seed)
    write_history(tmp_path / "run.jsonl", facts_of(parameters), history)
    file = read_history(tmp_path / "run.jsonl")
    assert sorted(map(str, file.events)) == sorted(map(str, history))
    of_consumers = {event for event in history if isinstance(event, ConsumerEvent)}
    assert {event for event in file.events if isinstance(event, ConsumerEvent)} == of_consumers
    assert sorted(lines_of(file.facts, file.events)) == sorted(lines_of(file.facts, history))
    assert judge_history(file.events, file.facts.parameters()) == []


def test_join_is_two_events() -> None:
    """A join registers and subscribes, with the same times."""
    joined = {"op": "join", "process": "c", "begin": 1, "end": 2, "outcome": "ok"}
    events = list(decoded_events({**joined, "consumer": "c", "group": "g", "topics": ["t"]}))
    assert [type(event).__name__ for event in events] == ["Register", "Subscribe"]
    assert {(event.invoked, event.completed, event.status) for event in events} == {(1.0, 2.0, 200)}


def test_a_restart_ends_the_connections_of_those_who_were_there() -> None:
    """Each consumer that had begun to register before the restart was over gets a cut; a later one gets none."""

    def join(name: str, begin: float) -> dict[str, Any]:
        more = {"outcome": "ok", "consumer": name, "group": "g", "topics": ["t"]}
        return {"op": "join", "process": name, "begin": begin, "end": begin + 1, **more}

    restart = {"op": "restart", "process": "engine", "begin": 10, "end": 20, "outcome": "unknown"}
    file = read(HEADER, join("early", 1), join("during", 12), join("late", 21), restart)
    cuts = {event.consumer: event.invoked for event in file.events if isinstance(event, Cut)}
    assert cuts == {"early": 10.0, "during": 12.0}
    assert file.length == 4


def test_faults_come_back_as_they_were() -> None:
    """A fault and its heal are written and read; they end no connection."""
    times = {"process": "faults", "status": 200}
    fault = Fault(invoked=1.0, completed=1.5, name="kill two", **times)
    heal = Heal(invoked=3.0, completed=3.5, **times)
    file = read(HEADER, *(json.dumps(event_object(event)) for event in (fault, heal)))
    assert [str(event) for event in file.events] == [str(fault), str(heal)]
    assert isinstance(file.events[0], Fault)
    assert file.events[0].name == "kill two"


def test_an_empty_poll_is_known_as_one() -> None:
    """A poll that went well and has no records is empty."""
    (poll,) = read(HEADER, {**POLL, "records": []}).events
    assert isinstance(poll, Poll)
    assert poll.empty


def test_unknown_members_empty_lines_and_a_byte_order_mark_do_no_harm() -> None:
    """Members of a newer version are ignored, lines may be empty or end in CR LF."""
    file = read(b"\xef\xbb\xbf" + HEADER.encode() + b"\r", b"", {**PUBLISH, "shard": 7}, b"   ")
    assert len(file.events) == 1


def test_whole_numbers_are_ids_of_their_own() -> None:
    """The id 1 and the id "1" are two ids, and large ones keep their digits."""
    big = 2**63
    polls = [{**POLL, "records": [{"id": one, "topic": "t", "text": "a"}]} for one in (1, "1", big)]
    ids = [event.records[0].message_id for event in read(HEADER, *polls).events if isinstance(event, Poll)]
    assert ids == [1, "1", big]


def test_operations_in_one_moment_of_a_coarse_clock_are_two() -> None:
    """With times in whole seconds two acknowledgements may have the same, and so may several of one commit."""
    acknowledge = {**PUBLISH, "op": "acknowledge", "consumer": "c", "end": 1, "id": 1}
    several = [{**acknowledge, "end": 5, "id": number} for number in range(3)]
    joins = 2 * [{**PUBLISH, "op": "join", "end": 1, "consumer": "c", "group": "g", "topics": ["t"]}]
    assert len(read(HEADER, *joins).events) == 4
    beats = 2 * [{**PUBLISH, "op": "heartbeat", "consumer": "c"}]
    assert len(read(HEADER, acknowledge, acknowledge, *several, *beats).events) == 7


BAD_LINES: list[tuple[str, list[object], str]] = [
    ("nothing", [], "found no line"),
    ("no facts", [PUBLISH], r'line 1: expected facts about the system.*"kind": "history"'),
    ("another kind", ['{"kind": "report", "format": 1}'], "line 1: expected facts"),
    ("a later format", ['{"kind": "history", "format": 2}'], 'line 1: "format": expected 1, found 2'),
    ("no JSON", [HEADER, "{"], "line 2: expected a JSON object"),
    ("a list", [HEADER, "[1]"], "line 2: expected an object"),
    (
        "a gzip file",
        [b"\x1f\x8b\x08\x00"],
        "line 1: expected lines of JSON; the file is compressed by gzip: unpack",
    ),
    ("a zip file", [b"PK\x03\x04"], "line 1: .*a zip archive: unpack it"),
    ("UTF-16", [HEADER.encode("utf-16")], "line 1: .*the file is in UTF-16: write it in UTF-8"),
    ("a pretty object", ["{", '"kind": "history"'], "line 1: .*on a line of its own: .* at character 2 of 1"),
    ("a cut line", [HEADER, PUBLISH, '{"op": "pub'], "line 3: .*the file ends in this line: it may be cut"),
    ("zeros at the end", [HEADER, PUBLISH, b"\0" * 50], "line 3: expected a JSON object.*it may be cut"),
    (
        "facts twice",
        [HEADER, PUBLISH, HEADER, POLL],
        "line 3: found facts about a system once more: .*one history",
    ),
    (
        "a poll twice",
        [HEADER, POLL, PUBLISH, POLL],
        "line 4: the same operation, with the same times, is on line 2",
    ),
    (
        "an acknowledgement twice",
        [HEADER, *2 * [{**PUBLISH, "op": "acknowledge", "consumer": "c", "id": 1}]],
        "line 3: the same operation, with the same times, is on line 2",
    ),
    (
        "a join twice",
        [HEADER, *2 * [{**PUBLISH, "op": "join", "consumer": "c", "group": "g", "topics": ["t"]}]],
        "line 3: the same operation, with the same times, is on line 2",
    ),
    ("no UTF-8", [HEADER, b'{"op": "\xff"}'], "line 2: expected UTF-8"),
    ("nested", [HEADER, "[" * 100_000], "line 2: expected"),
    ("not a number", [HEADER, '{"begin": NaN}'], "line 2: .*NaN"),
    ("infinite", [HEADER, {**PUBLISH, "end": 10**400}], 'line 2: "end": expected a number of seconds'),
    ("nanoseconds", [HEADER, {**PUBLISH, "end": 1.7e18}], 'line 2: "end": expected a number of seconds'),
    ("no op", [HEADER, {"process": "p"}], 'line 2: "op" is missing'),
    ("unknown op", [HEADER, {**PUBLISH, "op": "send"}], 'line 2: "op": expected one of .*publish.*send'),
    ("no process", [HEADER, {**PUBLISH, "process": None}], 'line 2: "process": expected a string'),
    (
        "no text",
        [HEADER, {k: v for k, v in PUBLISH.items() if k != "text"}],
        '"text" is missing from a publish',
    ),
    (
        "an end before its begin",
        [HEADER, {**PUBLISH, "end": 0.5}],
        'line 2: "end": expected a time from "begin"',
    ),
    ("no end", [HEADER, {k: v for k, v in PUBLISH.items() if k != "end"}], 'line 2: "end" is missing'),
    ("true as a time", [HEADER, {**PUBLISH, "begin": True}], 'line 2: "begin": expected a number of seconds'),
    ("an unknown outcome", [HEADER, {**PUBLISH, "outcome": "fine"}], 'line 2: "outcome": expected one of ok'),
    ("a wrong status", [HEADER, {**PUBLISH, "status": 404}], 'line 2: "status": .*outcome ok, found 404'),
    ("a status without an answer", [HEADER, {**PUBLISH, "outcome": "unknown", "status": 200}], '"status"'),
    ("a text twice", [HEADER, PUBLISH, PUBLISH], "line 3: .*published to 't' on line 2"),
    ("no records", [HEADER, {**POLL, "records": None}], 'line 2: "records": expected a list'),
    ("refused records", [HEADER, {**POLL, "outcome": "refused"}], 'line 2: "records": expected none'),
    (
        "a record without id",
        [HEADER, {**POLL, "records": [{"topic": "t"}]}],
        'line 2: "records": "id" is missing',
    ),
    (
        "a negative offset",
        [HEADER, {**POLL, "records": [{"id": 1, "topic": "t", "text": "a", "offset": -1}]}],
        'line 2: "records": "offset": expected a whole number from 0, found -1',
    ),
    (
        "a cut with an answer",
        [HEADER, {**POLL, "op": "cut"}],
        'line 2: "outcome": expected "unknown" for cut',
    ),
    (
        "told on nothing",
        [HEADER, {**PUBLISH, "op": "told", "subscription": "s", "label": "a", "told": "ACK"}],
        'line 2: "subscription": expected the one of a listen',
    ),
    (
        "a timing",
        ['{"kind": "history", "format": 1, "timings": {"slack": -1}}'],
        '"slack": expected seconds from 0',
    ),
    (
        "partitions",
        ['{"kind": "history", "format": 1, "partitions": {"t": 0}}'],
        '"t": expected a whole number from 1',
    ),
    ("tells", ['{"kind": "history", "format": 1, "tells": ["all"]}'], '"tells": expected some of positions'),
]


@pytest.mark.parametrize(
    ("lines", "message"), [row[1:] for row in BAD_LINES], ids=[row[0] for row in BAD_LINES]
)
def test_a_mistake_is_named_with_its_line(lines: list[object], message: str) -> None:
    """The error says on which line what was expected, and what is there."""
    with pytest.raises(BadHistory, match=f"(?s)h.jsonl.*{message}"):
        read(*lines)


@pytest.mark.parametrize(
    ("lines", "message"), [row[1:] for row in BAD_LINES], ids=[row[0] for row in BAD_LINES]
)
def test_the_schema_finds_most_mistakes(lines: list[object], message: str) -> None:
    """A line that the reader takes is valid, so that a writer in another language may rely on the schema."""
    for line in lines:
        try:
            list(read(HEADER, line).events)
        except BadHistory:
            continue
        document = json.loads(line) if isinstance(line, str) else line
        assert problems("history", document) == [], message


def test_a_line_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without end is refused, not read."""
    monkeypatch.setattr("conformance.history.file_lines.LINE_LIMIT", 100)
    with pytest.raises(BadHistory, match="line 2: expected at most 100 octets"):
        read(HEADER, "x" * 1000)


def test_lines_are_in_the_order_of_their_beginning() -> None:
    """A written history can be read from top to bottom."""
    history, parameters = some_history(1)
    begins = [json.loads(line)["begin"] for line in list(lines_of(facts_of(parameters), history))[1:]]
    assert begins == sorted(begins)


def test_every_kind_of_event_has_a_line() -> None:
    """Each event type survives as itself; Settle, ConsumerEvent and Event have no operations of their own."""
    kinds = set(_kinds(Event)) - {"Event", "ConsumerEvent", "Settle"}
    stories = [case.tell() for case in [*BAD, *GOOD]]
    written = {type(event).__name__ for story in stories for event in story.history}
    assert kinds - written == {"Cut", "Restart", "Fault", "Heal"}
    assert header_object(facts_of(stories[0].parameters))["kind"] == "history"
    assert event_object(Register(process="c", consumer="c", group="g", invoked=1.0))["outcome"] == "unknown"


def _kinds(kind: type[Event]) -> list[str]:
    return [kind.__name__, *(name for below in kind.__subclasses__() for name in _kinds(below))]


def test_a_sample_of_legal_histories_is_left_alone_through_files(tmp_path: Path) -> None:
    """No checker finds anything in what a conforming queue did, after the way through a file."""
    path = tmp_path / "legal.jsonl"
    for seed in range(1000, 1300):
        history, parameters = some_history(seed)
        write_history(path, facts_of(parameters), history)
        file = read_history(path)
        assert judge_history(file.events, file.facts.parameters()) == [], f"seed {seed}"
