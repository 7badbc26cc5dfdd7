"""Target: values from the URL, the target file and the capabilities."""

import math

import pytest

from conformance.targets.files import FACTS, GENERIC, TargetFile, parse_target
from conformance.targets.target import (
    STOMP_VERSIONS,
    USUAL_FACTS,
    BadUrl,
    Target,
    Timings,
    from_file,
    parse_url,
    split_classes,
    versions_of,
    with_capabilities,
)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("ws://127.0.0.1:8080/stomp", "127.0.0.1", 8080, "/stomp"),
        ("ws://broker.example", "broker.example", 80, "/"),
        ("wss://broker.example/ws?token=a%20b", "broker.example", 443, "/ws?token=a%20b"),
        ("http://broker.example:81/", "broker.example", 81, "/"),
        ("https://broker.example/", "broker.example", 443, "/"),
        ("WS://Broker.Example:9/X", "broker.example", 9, "/X"),
        ("ws://[::1]:8080/stomp", "::1", 8080, "/stomp"),
    ],
)
def test_a_url_says_where_the_server_is(url: str, host: str, port: int, path: str):
    target = from_file(GENERIC, url)
    assert (target.host, target.port, target.path) == (host, port, path)
    assert target.host_header == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "localhost",
        "ftp://127.0.0.1/",
        "ws://",
        "ws:///stomp",
        "ws://:8080/",
        "ws://h:0/",
        "ws://h:65536/",
        "ws://h:x/",
        "ws://[::1/",
        "ws://h/a b",
        "ws://h/a\nb",
        " ws://h/",
    ],
)
def test_what_is_no_url_is_refused_with_an_example(url: str):
    with pytest.raises(BadUrl) as raised:
        parse_url(url)
    assert repr(url) in str(raised.value)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        (None, "ws://h:80/stomp"),
        ("/other", "ws://h:80/other"),
        ("other", "ws://h:80/other"),
        ("producer", "ws://h:80/make"),
        ("/producer", "ws://h:80/make"),
        ("", "ws://h:80/"),
    ],
)
def test_a_websocket_url_has_the_path_of_the_endpoint(path: str | None, url: str):
    target = from_file(TargetFile(name="t", endpoints={"producer": "/make"}), "ws://h/stomp")
    assert target.websocket_url(path) == url


def test_a_websocket_url_keeps_the_brackets_of_an_address():
    assert from_file(GENERIC, "ws://[::1]:81/a").websocket_url() == "ws://[::1]:81/a"


def test_a_target_file_gives_what_the_server_may_not():
    file = parse_target(
        {
            "name": "t",
            "classes": ["stomp-1.1", "stomp-1.0", "long-poll"],
            "host_header": "/",
            "timings": {"heartbeat_timeout": 5},
            "queue": "/queue/q.{name}",
            "facts": {"checks_login": True},
        },
        "t.toml",
    )
    target = from_file(file, "ws://h/")
    assert target.classes == {"stomp-1.0", "stomp-1.1"}
    assert target.extensions == {"long-poll"}
    assert target.stomp_versions == ("1.0", "1.1")
    assert target.timings == Timings(heartbeat_timeout=5)
    assert target.host_header == "/"
    assert target.plain_queue("a") == "/queue/q.a"
    assert target.plain_topic("a") == "/topic/a"
    assert target.fact("checks_login")
    assert not target.fact("knows_hosts")
    assert target.fact("knows_hosts", default=True)


CAPABILITIES = {
    "name": "Broker",
    "version": "7",
    "classes": ["queue-http", "stomp-1.2", "of-its-own"],
    "extensions": ["long-poll", "of-its-own"],
    "stomp_versions": ["1.2", "1.1"],
    "endpoints": {"stomp": "/s"},
    "limits": {"max_frame": 1024},
    "timings": {"heartbeat_timeout": 12, "eviction_grace": 0.5, "of_its_own": 1},
    "defaults": {"partitions": 4, "brokers": 3},
}


def test_capabilities_are_taken_over():
    target = with_capabilities(from_file(GENERIC, "ws://h/"), CAPABILITIES)
    assert target.title == "Broker 7"
    assert target.classes == {"queue-http", "stomp-1.2"}
    assert target.extensions == {"long-poll"}
    assert target.stomp_versions == ("1.1", "1.2")
    assert target.endpoints == {"stomp": "/s"}
    assert target.limits == {"max_frame": 1024}
    assert target.timings == Timings(heartbeat_timeout=12.0, eviction_grace=0.5)
    assert (target.partitions, target.brokers) == (4, 3)
    assert target.capabilities is CAPABILITIES


def test_classes_and_title_of_the_target_file_go_before_capabilities_and_the_rest_after():
    file = TargetFile(
        name="t",
        title="A known one",
        classes=("stomp-1.1", "batch-poll"),
        partitions=9,
        limits={"max_frame": 1, "max_body": 2},
        timings={"heartbeat_timeout": 1.0, "rebalance_timeout": 2.0},
    )
    target = with_capabilities(from_file(file, "ws://h/"), CAPABILITIES)
    assert target.title == "A known one"
    assert target.classes == {"stomp-1.1"}
    assert target.extensions == {"batch-poll", "long-poll"}
    assert target.partitions == 4
    assert target.limits == {"max_frame": 1024, "max_body": 2}
    assert target.timings == Timings(12.0, 0.5, 2.0)


@pytest.mark.parametrize("document", [None, [], "capabilities", 7, True, {}])
def test_capabilities_that_are_no_object_or_say_nothing_change_nothing(document):
    before = from_file(GENERIC, "ws://h/")
    after = with_capabilities(before, document)
    assert Target(**{**vars(after), "capabilities": None}) == before


WRONG = [None, True, -1, "x", [], {}, [[]], {"x": {}}, [1, None], math.inf, math.nan, 10**400, "9" * 400]


@pytest.mark.parametrize("member", sorted(CAPABILITIES))
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
def test_members_of_a_wrong_type_are_left_out(member: str, value: object):
    before = from_file(GENERIC, "ws://h/")
    after = with_capabilities(before, {member: value})
    if member in ("name", "version"):
        assert after.title == (value if isinstance(value, str) else "")
    else:
        assert Target(**{**vars(after), "capabilities": None}) == before


@pytest.mark.parametrize(
    "value", [value for value in WRONG if value not in ([], {})], ids=lambda v: repr(v)[:20]
)
@pytest.mark.parametrize("table", ["timings", "limits", "defaults"])
def test_numbers_of_a_wrong_type_are_left_out(table: str, value: object):
    names = {"timings": "heartbeat_timeout", "limits": "max_frame", "defaults": "partitions"}
    target = with_capabilities(from_file(GENERIC, "ws://h/"), {table: {names[table]: value}})
    assert target.timings == Timings()
    assert target.limits == {}
    assert target.partitions is None


def test_a_path_of_a_wrong_type_is_left_out():
    target = with_capabilities(from_file(GENERIC, "ws://h/"), {"endpoints": {"stomp": 7, "producer": "/p"}})
    assert target.endpoints == {"producer": "/p"}


@pytest.mark.parametrize(
    ("binding", "version"),
    [
        ("stomp-1.0", "1.0"),
        ("stomp-1.1", "1.1"),
        ("queue-stomp", "1.1"),
        ("queue-http", "1.1"),
        ("websocket", "1.1"),
    ],
)
def test_sessions_have_the_version_of_the_binding_or_the_highest(binding: str, version: str):
    target = Target(name="t", url="ws://h/", host="h", port=80, path="/", stomp_versions=("1.0", "1.1"))
    assert target.version_for(binding) == version


def test_classes_are_split_into_bindings_and_extensions():
    assert split_classes(["stomp-1.2", "long-poll", "unheard-of"]) == ({"stomp-1.2"}, {"long-poll"})
    assert versions_of(["stomp-1.2", "queue-http", "stomp-1.0"]) == ("1.0", "1.2")
    assert versions_of(["queue-http"]) == ()
    assert from_file(GENERIC, "ws://h/").stomp_versions == STOMP_VERSIONS


def test_patience_grows_with_the_distance():
    near = Target(name="t", url="ws://h/", host="h", port=80, path="/")
    far = Target(name="t", url="ws://h/", host="h", port=80, path="/", round_trip=0.1)
    assert far.patience > near.patience > 0
    assert near.has_virtual_clock is False


@pytest.mark.parametrize("name", sorted(FACTS))
def test_a_fact_is_what_the_file_says_or_what_is_usual(name: str):
    usual = name in USUAL_FACTS
    assert from_file(GENERIC, "ws://h/").fact(name) is usual
    for value in (True, False):
        assert (
            from_file(TargetFile(name="t", facts={name: value}), "ws://h/").fact(name, default=True) is value
        )


def test_usual_facts_can_be_denied_by_a_file():
    assert set(FACTS) >= USUAL_FACTS


@pytest.mark.parametrize(
    ("document", "destination"),
    [
        ({}, ""),
        ({"classes": ["stomp-1.2"]}, ""),
        ({"classes": ["queue-stomp"]}, "/nowhere"),
        ({"classes": ["stomp-1.2"], "refused": "/nirvana"}, "/nirvana"),
        ({"classes": ["queue-stomp"], "refused": "/nirvana"}, "/nirvana"),
    ],
)
def test_a_destination_that_is_refused_is_known_by_the_file_or_by_the_text(document, destination: str):
    assert (
        from_file(parse_target({"name": "t", **document}, "t"), "ws://h/").refused_destination == destination
    )
