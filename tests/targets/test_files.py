"""Target files: allowed content, and messages about bad files."""

import math

import pytest

from conformance.targets.files import (
    BadTargetFile,
    TargetFile,
    check_waivers,
    find_target,
    known_targets,
    parse_target,
    read_target,
)
from conformance.verdicts.verdicts import Waiver
from tests.verdicts import books

WHOLE = """
name = "mine"
title = "My broker 1.0"
url = "ws://127.0.0.1:61614/stomp"
login = "guest"
passcode = "guest"
host_header = "/"
classes = ["stomp-1.2", "long-poll"]
partitions = 3
queue = "/queue/{name}"
topic = "/exchange/{name}/all"
queue_headers = { durable = "true" }
topic_headers = {}
endpoints = { producer = "/p" }
limits = { max_body = 1024, ratio = 0.5 }
timings = { heartbeat_timeout = 30, first_frame_timeout = 1.5 }
facts = { checks_login = true }

[[waivers]]
clause = "ACCOUNT-OPEN-1"
reason = "  it has none  "
bindings = ["queue-http"]

[[waivers]]
clause = "TALK-1"
reason = "it is shy"
"""


def test_a_whole_file_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE, "utf-8")
    file = read_target(path)
    assert file == find_target(str(path))
    assert file.name == "mine"
    assert file.classes == ("stomp-1.2", "long-poll")
    assert file.topic == "/exchange/{name}/all"
    assert file.limits == {"max_body": 1024, "ratio": 0.5}
    assert file.waivers == (
        Waiver("ACCOUNT-OPEN-1", "it has none", ("queue-http",)),
        Waiver("TALK-1", "it is shy"),
    )
    check_waivers(file, books.book())


def test_a_name_is_enough():
    assert parse_target({"name": "mine"}, "mine.toml") == TargetFile(name="mine")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "name is missing"),
        ({"name": ""}, "name is missing"),
        ({"name": 7}, "name: expected a string, found 7"),
        ({"nmae": "x"}, "'nmae' is no key; expected name,"),
        ({"classes": "stomp-1.2"}, "classes: expected a list of"),
        ({"classes": ["stomp-1.3"]}, "classes: expected a list of"),
        ({"classes": [["stomp-1.2"]]}, "classes: expected a list of"),
        ({"partitions": 0}, "partitions: expected a whole number from 1"),
        ({"partitions": True}, "partitions: expected a whole number from 1"),
        ({"partitions": 1.5}, "partitions: expected a whole number from 1"),
        ({"queue": "/queue/"}, "queue: expected a destination with {name} in it"),
        ({"queue": "{name}/{name}"}, "queue: expected a destination with {name} in it"),
        ({"topic": "/{name}/{other}"}, "topic: expected a destination with {name} in it"),
        ({"topic": "/{name}/{"}, "topic: expected a destination with {name} in it"),
        ({"queue_headers": {"durable": True}}, "queue_headers: durable: expected a string, found True"),
        ({"queue_headers": "durable:true"}, "queue_headers: expected a table"),
        ({"endpoints": ["/p"]}, "endpoints: expected a table"),
        ({"limits": {"max_body": -1}}, "limits: max_body: expected a number from 0"),
        ({"limits": {"max_body": True}}, "limits: max_body: expected a number from 0"),
        ({"timings": {"heartbeat_timeout": "30"}}, "timings: heartbeat_timeout: expected a number from 0"),
        (
            {"timings": {"heartbeat_timeout": math.inf}},
            "timings: heartbeat_timeout: expected a number from 0",
        ),
        (
            {"timings": {"heartbeat_timeout": math.nan}},
            "timings: heartbeat_timeout: expected a number from 0",
        ),
        ({"timings": {"heart_beat": 30}}, "timings: expected a table of heartbeat_timeout,"),
        ({"facts": {"is_fast": True}}, "facts: expected a table of"),
        ({"facts": {"checks_login": "yes"}}, "facts: checks_login: expected true or false"),
        ({"waivers": {}}, "waivers: expected [[waivers]] tables"),
        ({"waivers": ["ACCOUNT-OPEN-1"]}, "waivers: expected clause, reason and perhaps bindings"),
        ({"waivers": [{"clause": "A-1"}]}, "waivers: expected clause, reason and perhaps bindings"),
        ({"waivers": [{"clause": "A-1", "reason": "x", "since": 1}]}, "waivers: expected clause, reason"),
        ({"waivers": [{"clause": "A-1", "reason": "  "}]}, "waivers: the waiver of A-1 needs a reason"),
        ({"waivers": [{"clause": 1, "reason": "x"}]}, "waivers: expected a string, found 1"),
        ({"waivers": [{"clause": "A-1", "reason": "x", "bindings": ["udp"]}]}, "waivers: expected a list of"),
        # An extension is no binding.
        (
            {"waivers": [{"clause": "A-1", "reason": "x", "bindings": ["long-poll"]}]},
            "waivers: expected a list of",
        ),
    ],
)
def test_a_bad_file_is_refused_by_its_key(document, said):
    with pytest.raises(BadTargetFile) as raised:
        parse_target(
            {"name": "mine", **document} if "name" not in document and document else document, "mine.toml"
        )
    assert str(raised.value).startswith("mine.toml: ")
    assert said in str(raised.value)


@pytest.mark.parametrize("octets", [b"name = ", b"name = 'x'\nname = 'y'", b"name = '\xff'"])
def test_what_is_no_toml_is_refused_by_its_path(tmp_path, octets: bytes):
    path = tmp_path / "bad.toml"
    path.write_bytes(octets)
    with pytest.raises(BadTargetFile, match=r"bad\.toml"):
        find_target(str(path))


@pytest.mark.parametrize("name", ["no-such-target", "/no/such/file.toml", "no-such-file.toml", ""])
def test_an_unknown_target_is_refused(name: str):
    with pytest.raises(BadTargetFile, match="there is no target"):
        find_target(name)


def test_a_waiver_names_a_clause_of_the_text():
    file = TargetFile(name="mine", waivers=(Waiver("TALK-1", "shy"), Waiver("TALK-77", "shy")))
    with pytest.raises(BadTargetFile, match="target mine: waivers of TALK-77, which no chapter has"):
        check_waivers(file, books.book())


def test_targets_that_come_with_the_suite_are_found_by_their_names():
    for file in known_targets():
        assert find_target(file.name) == file
