"""Sample run with everything that a report shows."""

from datetime import UTC, datetime

from conformance.reporting.plan import Meta, Plan
from conformance.specification.clauses import Book
from conformance.targets.target import Target
from conformance.verdicts.decision import decide
from conformance.verdicts.recorder import Recorder
from conformance.verdicts.verdicts import Failure, Key, Result, Stop, Tally, Waiver
from conformance.wire.trace import Direction, Kind, TraceEntry
from tests.verdicts.books import book

BOOK = book()
SECRET = "open sesame"
NASTY = "\x1b[31mred\x07 \u202e\ufffe <b>&amp;</b> ]]> [bold]x[/bold] \x00 \udcff"


def frame(at: float, connection: str, direction: Direction, kind: Kind, octets: bytes) -> TraceEntry:
    """Trace entry with all octets of its frame."""
    return TraceEntry(at, connection, direction, kind, octets, len(octets))


CONNECT = f"CONNECT\naccept-version:1.2\npasscode:{SECRET}\n\n\0".encode()
FRAMES = (
    frame(0.001, "ws-1", ">", "stomp", CONNECT),
    frame(0.002, "ws-1", "<", "stomp", b"CONNECTED\nversion:1.2\n\n\0\n"),
    frame(0.003, "ws-1", "<", "stomp", b"\n"),
    TraceEntry(0.5, "ws-1", "<", "stomp", b"MESSAGE\nmessage-id:1\\c2\r\n\n\xff\xfe\x1b[2J\0", 5_000_000),
    frame(0.75, "ws-1", "<", "ws", b"close \x03\xe8"),
    frame(1.25, "http-1", ">", "http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
)
TARGET = Target(
    name="sample",
    title="Sample broker 1.0",
    url="ws://127.0.0.1:8080/stomp",
    host="127.0.0.1",
    port=8080,
    path="/stomp",
    login="ali",
    passcode=SECRET,
    classes=frozenset({"queue-http", "stomp-1.1", "stomp-1.2"}),
    extensions=frozenset({"virtual-clock"}),
    capabilities={"name": "Sample broker", "limit": float("inf")},
)
PLAN = Plan(tests=12, clauses=8, effort="quick", seed=7, bindings=("queue-http", "stomp-1.1", "stomp-1.2"))
META = Meta(PLAN, datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), 12.5)
COLUMNS = {clause.id: clause.columns(TARGET.classes, TARGET.extensions) for clause in BOOK}
SELECTED = [Key(clause, binding) for clause, bindings in COLUMNS.items() for binding in bindings]


def failure(key: Key, observed: str = "silence", steps: int = 3) -> Failure:
    """Failure with evidence."""
    return Failure(
        key.clause,
        key.binding,
        f"test_{key.clause.lower()}[{key.binding}]",
        "an answer",
        observed,
        tuple(f"step {number}: {NASTY}" for number in range(1, steps + 1)),
        FRAMES,
    )


def judge() -> Recorder:
    """Tallies of the run."""
    record = Recorder(BOOK, COLUMNS)
    tallies = {
        Key("ACCOUNT-OPEN-1", "queue-http"): Tally(
            tests={"t1"}, broken=1, failures=[failure(Key("ACCOUNT-OPEN-1", "queue-http"), NASTY)]
        ),
        Key("ACCOUNT-PAY-1", "queue-http"): Tally(tests={"t2"}, stops=[Stop("t2", "ACCOUNT-OPEN-1")]),
        Key("ACCOUNT-PAY-2", "queue-http"): Tally(tests={"t3"}, skips=["the server has no cents"]),
        Key("ACCOUNT-PAY-3", "queue-http"): Tally(tests={"t3"}, observations=["it rounds down"]),
        Key("ACCOUNT-CLOSE-1", "queue-http"): Tally(tests={"t4"}, errors=["t4: KeyError: 'x'\nTraceback"]),
        Key("TALK-1", "stomp-1.1"): Tally(
            tests={"t5"}, broken=1, failures=[failure(Key("TALK-1", "stomp-1.1"))]
        ),
        Key("TALK-1", "stomp-1.2"): Tally(tests={"t5"}, held=40),
        Key("TALK-2", "stomp-1.2"): Tally(
            tests={"t6"}, broken=2, failures=[failure(Key("TALK-2", "stomp-1.2"), "a grunt")] * 2
        ),
    }
    record.tallies.update(tallies)
    return record


WAIVERS = (
    Waiver("TALK-1", "1.1 is not greeted, and nobody minds", ("stomp-1.1",)),
    Waiver("TALK-1", "was mended long ago", ("stomp-1.2",)),
)


def result(waivers: tuple[Waiver, ...] = WAIVERS, *, ended_early: str = "") -> Result:
    """Verdicts of the run."""
    return decide(BOOK, SELECTED, judge().tallies, waivers, ended_early=ended_early)


def many_clauses(number: int) -> Book:
    """Book with `count` clauses."""
    items = "\n".join(
        f"- **[LONG-CHAPTER-{index:03}]** The server MUST do the thing that has the number {index}."
        for index in range(number)
    )
    return book(f"# A chapter with many clauses\n\n*Classes: stomp-1.2.*\n\n{items}\n")
