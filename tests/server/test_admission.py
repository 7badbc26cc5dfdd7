"""Requests that do not belong here: without a login, from pages of others, for other hosts, of other media types."""

from __future__ import annotations

import base64
import json
import logging
import socket
from typing import TYPE_CHECKING

import pytest

from tests.server.test_bad_requests import OPERATIONS
from tests.server.wire import Http, Stomp, request, upgrade

if TYPE_CHECKING:
    from reference_server.server import Server
    from tests.server.conftest import Serve

ADD = "/topic/add-topic"
BODY = b'{"topicName":"fresh"}'
READ = ["/topics", "/topics/fresh", "/consumer-groups/g"]
USERS = ("ann:s:é crét", "bob:")


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def topics(server: Server, **headers: str) -> list[str]:
    with Http.to(server) as client:
        answer = client.exchange(request("GET", "/topics", **headers))
    return [topic["topicName"] for topic in answer.json["topics"]]


# Logins

WRONG = {
    "none": None,
    "empty": "",
    "no scheme": base64.b64encode(b"ann:x").decode(),
    "another scheme": "Bearer abc",
    "no base64": "Basic ann:x",
    "no colon": "Basic " + base64.b64encode(b"ann").decode(),
    "not UTF-8": "Basic " + base64.b64encode(b"ann:\xff").decode(),
    "wrong passcode": basic("ann:x"),
    "beginning of the passcode": basic("ann:s"),
    "no passcode": basic("ann:"),
    "unknown user": basic("eve:"),
    "unknown user with a NUL": basic("eve:\0"),
    "case": basic("ANN:s:é crét"),
    "no user": basic(":"),
}


@pytest.mark.parametrize("authorization", WRONG.values(), ids=WRONG.keys())
def test_no_operation_without_a_login(serve: Serve, authorization: str | None) -> None:
    """With users, each operation and each document needs Basic authentication; only the capabilities are open."""
    server = serve(user=USERS, virtual_clock=True)
    right = basic(USERS[0])
    with Http.to(server) as client:
        for path in (*OPERATIONS, "/clock/advance", "/nothing"):
            answer = client.exchange(request("POST", path, BODY, Authorization=authorization))
            assert (answer.status, answer.cause) == (401, "login-refused")
            assert answer.headers["www-authenticate"].startswith("Basic realm=")
        for path in READ:
            assert client.exchange(request("GET", path, Authorization=authorization)).status == 401
        assert client.exchange(request("GET", "/capabilities", Authorization=authorization)).status == 200
    assert topics(server, Authorization=right) == []


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_a_login_opens_both_doors(serve: Serve, user: str, scheme: str) -> None:
    """The users of CONNECT are those of HTTP."""
    server = serve(user=USERS)
    login, passcode = user.split(":", 1)
    with Http.to(server) as client:
        answer = client.exchange(request("POST", ADD, BODY, Authorization=scheme + basic(user)[5:]))
        assert answer.status == 200
    with Stomp.connected(server, login=login, passcode=passcode) as session:
        session.fence()


@pytest.mark.parametrize("path", ["/stomp", "/producer", "/consumer"])
def test_no_session_without_a_login(serve: Serve, path: str) -> None:
    """No endpoint serves a frame before a right CONNECT."""
    server = serve(user=USERS)
    for frames in (["SEND"], ["CONNECT", "SEND"]):
        with Stomp.to(server, path) as session:
            session.say(
                frames[0],
                {"destination": ADD, "login": "ann", "passcode": "x"},
                BODY if len(frames) == 1 else b"",
            )
            assert session.refused().headers["message"] in {"login refused", "not connected"}
    assert topics(server, Authorization=basic(USERS[1])) == []


def test_wrong_logins_are_bounded_and_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """An address that guesses is slowed down, by whichever door it comes, and the log names it without the passcode."""
    server = serve(user=USERS)
    statuses = []
    with Http.to(server) as client, caplog.at_level(logging.WARNING):
        for number in range(200):
            wrong = basic(f"ann:guess-{number}")
            statuses.append(client.exchange(request("GET", "/topics", Authorization=wrong)).status)
        assert 100 <= statuses.count(401) < 150
        assert statuses[-1] == 429
        # The right passcode is refused as well: the guesser must not learn it.
        assert client.exchange(request("GET", "/topics", Authorization=basic(USERS[0]))).status == 429
        assert client.get("/capabilities").status == 200
        with Stomp.to(server) as session:
            session.say("CONNECT", {"accept-version": "1.2", "host": "x", "login": "bob", "passcode": ""})
            assert session.refused()["message"] == "too many wrong logins"
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == statuses.count(401)
    assert set(lines) == {"wrong-login login=ann address=127.0.0.1"}
    assert not any("guess" in line for line in lines)


# Origins and hosts

FOREIGN = [
    "https://evil.example",
    "http://localhost",
    "http://localhost:1",
    "null",
    "",
    "file://",
    "http://localhost.evil.example",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_others(serve: Serve, origin: str) -> None:
    """A page of another origin gets 403 for everything, WebSocket included, and nothing is performed."""
    server = serve(virtual_clock=True)
    host = f"localhost:{server.port}"
    for octets in (
        request("POST", ADD, BODY, Host=host, Origin=origin),
        request("POST", "/clock/advance", b'{"seconds":1}', Host=host, Origin=origin),
        request("GET", "/topics", Host=host, Origin=origin),
        upgrade(Host=host, Origin=origin),
    ):
        with Http.to(server) as client:
            answer = client.exchange(octets)
            assert (answer.status, answer.cause) == (403, "origin-refused")
    assert topics(server) == []


def test_pages_of_ones_own(serve: Serve) -> None:
    """The server's own pages, and those of --allow-origin, are served; a proxy may add TLS."""
    server = serve(allow_origin=("https://Good.example", "http://other.example:8080/"))
    for host in ("localhost", "127.0.0.1", f"localhost:{server.port}", "[::1]:80"):
        for origin in (
            f"http://{host}",
            f"https://{host}",
            "https://good.example",
            "http://other.example:8080",
        ):
            with Http.to(server) as client:
                assert client.exchange(request("GET", "/topics", Host=host, Origin=origin)).status == 200
                client.send(upgrade(Host=host, Origin=origin))
                assert client.take_until(b"\r\n").startswith(b"HTTP/1.1 101 ")
    with Http.to(server) as client:
        assert client.exchange(request("GET", "/topics", Origin="http://good.example")).status == 403
    with Http.to(serve(allow_origin=("*",))) as client:
        assert client.exchange(request("GET", "/topics", Origin="null")).status == 200


@pytest.mark.parametrize(
    ("host", "origin", "is_own"),
    [
        ("localhost:80", "http://localhost", True),
        ("localhost:443", "https://localhost", True),
        ("[::1]:443", "https://[::1]", True),
        ("localhost:443", "http://localhost", False),
        ("localhost:80", "https://localhost", False),
        ("localhost:8080", "http://localhost", False),
        ("localhost:80", "http://evil.example", False),
    ],
)
def test_the_port_of_a_scheme(server: Server, host: str, origin: str, is_own: bool) -> None:
    """Browsers leave the port of the scheme out of Origin; proxies that write Host put it in."""
    with Http.to(server) as client:
        answer = client.exchange(request("GET", "/topics", Host=host, Origin=origin))
        assert answer.status == (200 if is_own else 403)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        ":80",
        "localhost@evil",
        "a b",
        "[::1",
        "127.0.0.1:80:80",
        "evil\\localhost",
    ],
)
def test_hosts_of_others(serve: Serve, host: str) -> None:
    """A name that is not the server's gets 421, whatever the port: a page may have had its name resolve to here."""
    server = serve()
    for octets in (
        request("POST", ADD, BODY, Host=host),
        request("GET", "/capabilities", Host=host),
        upgrade(Host=host),
    ):
        with Http.to(server) as client:
            answer = client.exchange(octets)
            assert (answer.status, answer.cause) == (421, "host-unknown")
    assert topics(server) == []


def test_hosts_of_ones_own(serve: Serve) -> None:
    """The server's names: localhost, any address, the machine's name, --host and --allow-host."""
    server = serve(allow_host=("Broker.example",))
    names = [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "10.1.2.3",
        "[::1]",
        "[fe80::1]",
        socket.gethostname(),
    ]
    for name in (*names, "broker.example", "BROKER.example"):
        for port in ("", ":", ":80", f":{server.port}"):
            with Http.to(server) as client:
                assert client.exchange(request("GET", "/topics", Host=name + port)).status == 200
    with Http.to(serve(allow_host=("*",))) as client:
        assert client.exchange(request("GET", "/topics", Host="anything.example")).status == 200


@pytest.mark.parametrize(
    "hosts", [[], ["localhost", "localhost"], ["localhost", "evil.example"], ["evil", "localhost"]]
)
def test_one_host(server: Server, hosts: list[str]) -> None:
    """A request of HTTP/1.1 has one Host header: any other number is 400 (RFC 9112, section 3.2)."""
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    for octets in (request("POST", ADD, BODY, Host=None), upgrade(Host=None)):
        line, rest = octets.split(b"\r\n", 1)
        with Http.to(server) as client:
            answer = client.exchange(line + b"\r\n" + lines.encode() + rest)
            assert (answer.status, answer.cause) == (400, "request-malformed")
            assert client.wait_for_end() == b""
    assert topics(server) == []


def test_a_target_that_names_its_host(serve: Serve) -> None:
    """A request whose target is a whole URL is for the host of that URL (RFC 9112, section 3.2.2)."""
    server = serve()
    with Http.to(server) as client:
        for host in ("localhost", "localhost:80", "[::1]", "[::1]:80", "127.0.0.1"):
            assert client.exchange(request("GET", f"http://{host}/topics")).status == 200
        assert client.exchange(request("GET", "http://localhost")).status == 200  # the live page
        answer = client.exchange(request("POST", f"http://evil.example{ADD}", BODY))
        assert (answer.status, answer.cause) == (421, "host-unknown")
    assert topics(server) == []


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("Origin", "http://localhost", "https://evil.example"),
        ("Authorization", basic(USERS[0]), basic("ann:x")),
        ("Content-Type", "application/json", "text/plain"),
    ],
)
def test_headers_that_may_stand_once(serve: Serve, name: str, one: str, two: str) -> None:
    """Which of two is meant nobody knows: the request is malformed, whatever their order."""
    server = serve(user=USERS)
    for first, second in ((one, two), (two, one)):
        octets = request(
            "POST", ADD, BODY, **{"Authorization": basic(USERS[0]), "Content-Type": "application/json"}
        )
        lines = [line for line in octets.split(b"\r\n") if not line.startswith(name.encode())]
        lines[1:1] = [f"{name}: {value}".encode() for value in (first, second)]
        with Http.to(server) as client:
            answer = client.exchange(b"\r\n".join(lines))
            assert (answer.status, answer.cause) == (400, "request-malformed")
            assert name.lower() in answer.json["detail"].lower()
    assert topics(server, Authorization=basic(USERS[0])) == []


def test_white_space_around_values(serve: Serve) -> None:
    """Blanks and tabs before and after a value do not belong to it (RFC 9110, section 5.5)."""
    server = serve(user=USERS)
    with Http.to(server) as client:
        octets = request("GET", "/topics", Host=" \tlocalhost \t", Authorization=f"{basic(USERS[0])} ")
        assert client.exchange(octets).status == 200
        client.send(upgrade(Upgrade="websocket ", Authorization=f" {basic(USERS[0])}\t"))
        assert client.take_until(b"\r\n").startswith(b"HTTP/1.1 101 ")


# Media types


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        None,
        "",
        "application/json2",
        "text/json",
        "application/problem+json",
        "json",
        ";",
        "*/*",
    ],
)
@pytest.mark.parametrize("path", [*OPERATIONS, "/clock/advance"])
def test_other_media_types(serve: Serve, kind: str | None, path: str) -> None:
    """A body that is not declared to be JSON is refused by 415: a form or a script of any page may send it."""
    server = serve(virtual_clock=True)
    with Http.to(server) as client:
        answer = client.exchange(request("POST", path, BODY, Content_Type=kind))
        assert (answer.status, answer.cause) == (415, "media-type")
        assert "application/json" in answer.json["detail"]
    assert topics(server) == []


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON", "application/json;charset=utf-8", "application/json ; x=y"],
)
def test_json(server: Server, kind: str) -> None:
    """JSON in any spelling of its name, with parameters."""
    with Http.to(server) as client:
        assert client.exchange(request("POST", ADD, BODY, Content_Type=kind)).status == 200


@pytest.mark.parametrize(
    "coding", ["gzip", "br", "identity, gzip", "x", "gzip\r\nContent-Encoding: identity"]
)
def test_coded_bodies(server: Server, coding: str) -> None:
    """A coding that the server does not decode is refused, not read as if it were none."""
    with Http.to(server) as client:
        answer = client.exchange(request("POST", ADD, BODY, Content_Encoding=coding))
        assert (answer.status, answer.cause) == (415, "content-coding")
        assert client.exchange(request("POST", ADD, BODY, Content_Encoding="identity")).status == 200


# Paths


def test_further_paths(serve: Serve) -> None:
    """--path adds strict endpoints, which the capabilities name."""
    server = serve(path=("/ws", "/stomp/websocket"))
    for path in ("/ws", "/stomp/websocket", "/stomp"):
        with Stomp.connected(server, path=path) as session:
            session.fence()
    with Stomp.to(server, "/ws") as session:
        session.say("SEND", {"destination": ADD}, json.dumps({"topicName": "bare"}).encode())
        assert session.refused()["message"] == "not connected"
    with Http.to(server) as client:
        endpoints = client.get("/capabilities").json["endpoints"]
        assert {
            "ws": "/ws",
            "stomp": "/stomp",
            "stomp/websocket": "/stomp/websocket",
        }.items() <= endpoints.items()
        assert client.exchange(upgrade("/other")).status == 404


def test_a_path_that_is_encoded(serve: Serve) -> None:
    """Paths are given and declared as in a URL, so that clients may encode them otherwise; /producer stays lenient."""
    server = serve(path=("/a%20b", "/%C3%BC", "/producer"))
    for path in ("/a%20b", "/%c3%bc", "/%61%20b"):
        with Stomp.connected(server, path=path) as session:
            session.fence()
    with Http.to(server) as client:
        assert {"/a%20b", "/%C3%BC"} <= set(client.get("/capabilities").json["endpoints"].values())
    with Stomp.to(server, "/producer") as session:
        session.say("SUBSCRIBE", {"id": "0", "destination": "/queue/a", "receipt": "bare"})
        assert session.expect("RECEIPT")["receipt-id"] == "bare"
