"""Target files that come with the suite, and the page that documents the format."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from conformance.specification.clauses import book
from conformance.targets.files import (
    FACTS,
    FOLDER,
    TIMINGS,
    BadTargetFile,
    TargetFile,
    check_waivers,
    find_target,
    known_targets,
    parse_target,
    read_target,
)
from conformance.targets.target import USUAL_FACTS, Target, Timings, from_file

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(FOLDER.glob("*.toml"))
NAMES = [path.stem for path in FILES]
README = (FOLDER / "README.md").read_text("utf-8")
#: Keys of the tables in the page: code spans in the first cell of a row.
ROWS = {
    name.strip("[]")
    for line in README.splitlines()
    if line.startswith("| `")
    for name in re.findall(r"`([^`]+)`", line.split("|")[1])
}


@pytest.fixture(params=FILES, ids=NAMES)
def file(request: pytest.FixtureRequest) -> TargetFile:
    """One of the target files."""
    return read_target(request.param)


def test_the_brokers_that_the_suite_knows_are_there() -> None:
    """Every broker that the manual names has a file, and `known_targets` finds all of them."""
    expected = {
        "activemq",
        "artemis",
        "coilmq",
        "go-stomp",
        "rabbitmq",
        "reference-server",
        "seed",
        "spring-simple",
        "stomp-broker-js",
        "stompserver",
        "vertx-stomp",
    }
    assert expected <= set(NAMES)
    assert [file.name for file in known_targets()] == NAMES


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_is_found_by_its_name_and_by_its_path(path: Path) -> None:
    """`--target NAME` and `--target PATH` give the same target, whose name is that of the file."""
    by_name = find_target(path.stem)
    assert by_name == find_target(str(path))
    assert by_name.name == path.stem


def test_a_file_says_what_the_server_is_and_where_it_listens(file: TargetFile) -> None:
    """Every file has a title, and a URL that the suite can use."""
    assert file.title
    target = from_file(file, file.url)
    assert isinstance(target, Target)
    assert target.refused == file.refused
    assert target.queue_headers == file.queue_headers


def test_login_and_passcode_come_together(file: TargetFile) -> None:
    """A file has both login and passcode, or neither."""
    assert (file.login is None) == (file.passcode is None)


def test_waivers_name_clauses_of_the_text(file: TargetFile) -> None:
    """Every waived clause exists, is judged, and is no MAY."""
    check_waivers(file, book())
    for waiver in file.waivers:
        clause = book()[waiver.clause]
        assert clause.not_judged is None, f"{waiver.clause} is never judged"
        assert clause.key_word != "MAY", f"{waiver.clause} cannot be broken"


def test_waivers_apply_to_what_is_judged(file: TargetFile) -> None:
    """No waiver names a clause or a binding that is not judged on the target."""
    for waiver in file.waivers:
        columns = book()[waiver.clause].columns((*file.classes, "tcp"), ())
        assert columns, f"{waiver.clause} belongs to none of {', '.join(file.classes)}"
        assert set(waiver.bindings) <= set(columns), f"{waiver.clause} isn't judged in {waiver.bindings}"


def test_waivers_have_reasons_and_are_not_doubled(file: TargetFile) -> None:
    """Each reason is a sentence, and a clause has at most one waiver per binding and transport."""
    seen: set[tuple[str, str, str]] = set()
    for waiver in file.waivers:
        assert waiver.reason[0].isupper() or waiver.reason.startswith(("content-length", "`"))
        assert waiver.reason.endswith(".")
        bindings = waiver.bindings or book()[waiver.clause].columns((*file.classes, "tcp"), ())
        transports = [waiver.transport] if waiver.transport else ["tcp", "websocket"]
        keys = {(waiver.clause, binding, transport) for binding in bindings for transport in transports}
        assert not keys & seen, f"{waiver.clause} is waived twice"
        seen |= keys


def test_a_denied_fact_isnt_said_where_it_is_usual(file: TargetFile) -> None:
    """A file states no fact that is the default anyway."""
    for fact, value in file.facts.items():
        assert value != (fact in USUAL_FACTS), f"{fact} = {value} is what is taken anyway"


# The page


@pytest.mark.parametrize("key", TargetFile.__dataclass_fields__)
def test_the_page_explains_every_key(key: str) -> None:
    """Each key of a target file has a row."""
    assert key in ROWS


@pytest.mark.parametrize("name", [*FACTS, *TIMINGS, "clause", "reason", "bindings"])
def test_the_page_explains_every_fact_timing_and_key_of_a_waiver(name: str) -> None:
    """Each key of a table in a target file has a row."""
    assert name in ROWS


@pytest.mark.parametrize("fact", FACTS)
def test_the_page_says_what_a_fact_means_and_what_is_taken_without_it(fact: str) -> None:
    """The page has the meanings and defaults of the code."""
    default = str(fact in USUAL_FACTS).lower()
    assert f"| `{fact}` | {FACTS[fact]} | `{default}` |" in README


@pytest.mark.parametrize("name", TIMINGS)
def test_the_page_says_which_timings_are_taken(name: str) -> None:
    """The page has the defaults of the code."""
    default = getattr(Timings(), name)
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    assert row.endswith(f"| {default:g} |" if default is not None else "| nothing is judged by it |")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_lists_every_file(name: str) -> None:
    """Each broker has a row."""
    assert f"{name}.toml" in ROWS


def test_the_examples_of_the_page_are_target_files() -> None:
    """The examples are valid target files."""
    examples = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    whole, waiver = examples
    first = parse_target(tomllib.loads(whole), "README")
    second = parse_target({"name": "x", **tomllib.loads(waiver)}, "README")
    assert first.name == "mine"
    check_waivers(second, book())


# Refused files


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "name is missing"),
        ({"name": "x", "quue": "/queue/{name}"}, "'quue' is no key; expected name,"),
        ({"name": "x", "queue": "/queue/"}, "queue: expected a destination with {name}"),
        ({"name": "x", "topic": "/{name}/{name}"}, "topic: expected a destination with {name}"),
        ({"name": "x", "classes": ["stomp-1.3"]}, "classes: expected a list of"),
        ({"name": "x", "classes": "stomp-1.2"}, "classes: expected a list of"),
        ({"name": "x", "partitions": 0}, "partitions: expected a whole number"),
        ({"name": "x", "refused": 7}, "refused: expected a string"),
        ({"name": "x", "queue_headers": {"durable": False}}, "queue_headers: durable: expected a string"),
        ({"name": "x", "timings": {"patience": 3}}, "timings: expected a table of heartbeat_timeout"),
        ({"name": "x", "timings": {"eviction_grace": -1}}, "eviction_grace: expected a number from 0"),
        ({"name": "x", "facts": {"recepits": False}}, "facts: expected a table of serves_every_path"),
        ({"name": "x", "facts": {"receipts": "no"}}, "receipts: expected true or false"),
        ({"name": "x", "waivers": {"clause": "ACK-OK-1"}}, "waivers: expected [[waivers]]"),
        ({"name": "x", "waivers": [{"clause": "ACK-OK-1"}]}, "expected clause, reason"),
        ({"name": "x", "waivers": [{"clause": "ACK-OK-1", "reason": " "}]}, "ACK-OK-1 needs a reason"),
        (
            {"name": "x", "waivers": [{"clause": "ACK-OK-1", "reason": "r", "bindings": ["udp"]}]},
            "expected a list of queue-http",
        ),
    ],
)
def test_a_slip_is_named_with_its_key_and_what_is_expected(document: dict[str, object], told: str) -> None:
    """A message names the file, the key, and the expected value."""
    with pytest.raises(BadTargetFile) as refused:
        parse_target(document, "mine.toml")
    assert str(refused.value).startswith("mine.toml: ")
    assert told in str(refused.value)


def test_a_waiver_of_an_unknown_clause_is_refused() -> None:
    """A waiver of an unknown clause is refused."""
    file = parse_target({"name": "x", "waivers": [{"clause": "STOMP-NO-1", "reason": "r"}]}, "mine.toml")
    with pytest.raises(BadTargetFile, match=r"target x: waivers of STOMP-NO-1"):
        check_waivers(file, book())


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    """The message about an unknown name lists the known ones."""
    with pytest.raises(BadTargetFile, match="rabbitmq, reference-server"):
        find_target("rabitmq")


def test_a_broken_file_is_refused_by_its_path(tmp_path: Path) -> None:
    """A file that is no TOML is refused."""
    path = tmp_path / "mine.toml"
    path.write_text("name = ", "utf-8")
    with pytest.raises(BadTargetFile, match=re.escape(str(path))):
        find_target(str(path))


# Defaults


def test_usual_facts_are_facts() -> None:
    """A file can deny every usual fact."""
    assert set(FACTS) >= USUAL_FACTS


def test_usual_facts_hold_until_they_are_denied() -> None:
    """Usual facts are true by default, others false."""
    silent = from_file(parse_target({"name": "x"}, "x"), "ws://127.0.0.1:1/")
    denying = from_file(parse_target({"name": "x", "facts": {"receipts": False}}, "x"), "ws://127.0.0.1:1/")
    assert silent.fact("receipts")
    assert not silent.fact("checks_login")
    assert not denying.fact("receipts")


def test_a_server_of_the_queue_refuses_a_destination_by_its_text() -> None:
    """Without a target file the refused destination is `/nowhere` with queue-stomp, and unknown otherwise."""
    queue = from_file(parse_target({"name": "x", "classes": ["queue-stomp"]}, "x"), "ws://127.0.0.1:1/")
    plain = from_file(parse_target({"name": "x", "classes": ["stomp-1.2"]}, "x"), "ws://127.0.0.1:1/")
    named = from_file(parse_target({"name": "x", "refused": "/no"}, "x"), "ws://127.0.0.1:1/")
    assert (queue.refused_destination, plain.refused_destination, named.refused_destination) == (
        "/nowhere",
        "",
        "/no",
    )
