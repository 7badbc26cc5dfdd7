"""Bad input over HTTP: each gets a clear answer and changes no state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.wire import Answer, Http, request, upgrade

if TYPE_CHECKING:
    from reference_server.server import Server
    from tests.server.conftest import Serve

ADD = "/topic/add-topic"
GOOD = b'{"topicName":"fresh"}'
OPERATIONS = [
    ADD,
    "/addTopic",
    "/producer/publish/news",
    "/publish/news",
    "/consumer-group/add",
    "/consumer-group/remove",
    "/consumer/register-consumer",
    "/consumer/unregister-consumer",
    "/consumer/subscribe-topic",
    "/consumer/unsubscribe-topic",
    "/consumer/poll",
    "/consumer/acknowledgement",
    "/consumer/negative-acknowledgement",
    "/consumer/heartbeat",
]


class Watched:
    """A server with some state, and a client that compares it before and after."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = Http.to(server)
        do = self.client.ask
        do(ADD, topicName="news", partitions=2)
        do("/consumer-group/add", consumer_group_name="g")
        for name in ("c", "d"):
            do("/consumer/register-consumer", consumer_group_name="g", consumer_name=name)
            do("/consumer/subscribe-topic", consumer_name=name, topic_list="news")
        for number in range(4):
            do("/producer/publish/news", messageID=number, message="m")
        self.held = do("/consumer/poll", consumer_name="c").json["messageId"]
        self.before = self.state()

    def state(self) -> list[Any]:
        return [self.client.get(path).json for path in ("/topics", "/consumer-groups/g")]

    def refused(self, octets: bytes, *, ends: bool = False) -> Answer:
        """Send octets on a new connection; asserts that they are refused, and that the connection `ends` or not."""
        with Http.to(self.server) as client:
            client.send(octets)
            answer = client.answer()
            assert 400 <= answer.status < 500
            assert answer.cause
            if ends:
                assert answer.headers["connection"] == "close"
                assert client.wait_for_end() == b""
            else:
                assert client.get("/topics").status == 200
        assert self.state() == self.before
        return answer


@pytest.fixture
def watched(server: Server) -> Any:
    watched = Watched(server)
    with watched.client:
        yield watched


@pytest.mark.parametrize("path", OPERATIONS)
@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "body-not-json"),
        (b"nonsense", "body-not-json"),
        (b'{"consumer_name":', "body-not-json"),
        (b"\xff", "body-not-json"),
        (b"[" * 20_000, "body-not-json"),
        (b"[]", "body-not-object"),
        (b'"text"', "body-not-object"),
        (b"null", "body-not-object"),
        (b"{}", "member-missing"),
    ],
)
def test_bodies(watched: Watched, path: str, body: bytes, cause: str) -> None:
    """Bodies that are not JSON, arrays and strings, missing members (REFUSE-5, REFUSE-6)."""
    answer = watched.refused(request("POST", path, body))
    assert (answer.status, answer.cause) == (400, cause)


@pytest.mark.parametrize(
    "members",
    [
        {"topicName": 1},
        {"topicName": None},
        {"topicName": ["a"]},
        {"topicName": "a", "partitions": "3"},
        {"topicName": "a", "partitions": 0},
        {"topicName": "a", "partitions": 10**12},
        {"topicName": ""},
        {"topicName": "x" * 1000},
        {"topicName": "é"},
        {"topicName": "a/b"},
        {"topicName": ".."},
        {"topicName": "a,b"},
        {"topicName": "a\0"},
    ],
)
def test_members_and_names(watched: Watched, members: dict[str, Any]) -> None:
    """Wrong types, impossible values, invalid names (REFUSE-7, NAME-2, NAME-4)."""
    answer = watched.refused(request("POST", ADD, json.dumps(members).encode()))
    assert answer.status == 400
    assert answer.json["member"] == list(members)[-1]


@pytest.mark.parametrize("message_id", [-1, 10**30, "abc", "", True, None, 1.5, [1]])
@pytest.mark.parametrize("path", ["/consumer/acknowledgement", "/consumer/negative-acknowledgement"])
def test_ids(watched: Watched, path: str, message_id: object) -> None:
    """Negative and huge ids, and letters, are refused (ACK-BAD-1)."""
    body = json.dumps({"consumer_name": "c", "message_id": message_id}).encode()
    assert watched.refused(request("POST", path, body)).status == 400


def test_ids_of_others(watched: Watched) -> None:
    """Ids of another consumer's record, and of none, are refused (ACK-OTHER-1, ACK-UNKNOWN-1)."""
    for name, message_id in (("d", watched.held), ("c", 999)):
        body = json.dumps({"consumer_name": name, "message_id": message_id}).encode()
        answer = watched.refused(request("POST", "/consumer/acknowledgement", body))
        assert (answer.status, answer.cause) == (409, "not-in-flight")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/topic/add-topic/", "/Topic/add-topic", "//topic/add-topic", "/topic", "/consumer/../topics",
     "*", "/%00", "/stomp/", "/publish", "/topics/news/x", "/" + "x" * 5000],
)  # fmt: skip
def test_unknown_paths(watched: Watched, path: str) -> None:
    """Unknown paths are refused by 404 (HTTP-PATH-1, HTTP-PATH-2)."""
    for method in ("POST", "GET"):
        answer = watched.refused(request(method, path, GOOD if method == "POST" else None))
        assert answer.status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", [*OPERATIONS, "/clock/advance"])
def test_wrong_methods_of_operations(watched: Watched, path: str, method: str) -> None:
    """Wrong methods get 405 with Allow, and nothing is performed (HTTP-METHOD-1, HTTP-METHOD-2)."""
    with Http.to(watched.server) as client:
        client.send(request(method, path, GOOD))
        answer = client.answer(to_head=method == "HEAD")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert watched.state() == watched.before


@pytest.mark.parametrize("path", ["/capabilities", "/topics", "/topics/news", "/stomp"])
def test_wrong_methods_of_what_is_read(watched: Watched, path: str) -> None:
    """Other methods than GET and HEAD get 405 with Allow."""
    answer = watched.refused(request("POST", path, b"{}"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_an_unknown_method(watched: Watched) -> None:
    """An unknown method is refused and ends the connection, since the next request cannot be found."""
    answer = watched.refused(b"BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n", ends=True)
    assert answer.status == 405


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip\r\nTransfer-Encoding: chunked"])
def test_transfer_codings(server: Server, coding: str) -> None:
    """A body in a coding besides chunked is refused, not read as if it were none (RFC 9112, section 6.1)."""
    octets = f"POST {ADD} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n".encode()
    with Http.to(server) as client:
        answer = client.exchange(octets + b"15\r\n" + GOOD + b"\r\n0\r\n\r\n")
        assert (answer.status, answer.cause) == (501, "transfer-coding")
        assert client.wait_for_end() == b""


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("", 411),
        ("Content-Length: x\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +21\r\n", 400),
        ("Content-Length: 2 1\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 0x15\r\n", 400),
        ("Content-Length: 21\r\nContent-Length: 22\r\n", 400),
        ("Content-Length: 21\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 400),
        ("Content-Length: 99999999999999999999999999\r\n", 400),
        ("Content-Length: 2000000\r\n", 413),
    ],
)
def test_lengths(watched: Watched, fields: str, status: int) -> None:
    """No or a wrong Content-Length ends the connection: the next request cannot be found (HTTP-LENGTH-1)."""
    octets = (
        f"POST {ADD} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}\r\n".encode()
        + GOOD
    )
    assert watched.refused(octets, ends=True).status == status


def test_a_body_that_is_shorter_than_told(watched: Watched) -> None:
    """Nothing happens if the client leaves in the middle of its body."""
    with Http.to(watched.server) as client:
        client.send(request("POST", ADD, GOOD, Content_Length=str(len(GOOD) + 5)))
        client.link.shutdown(1)
        assert client.wait_for_end() == b""
    assert watched.state() == watched.before


@pytest.mark.parametrize(
    "octets",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /topics HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /topics HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /topics HTTP/1.1\r\n: empty name\r\n\r\n",
        b"GET /topics HTTP/1.1\r\na\0b: c\r\n\r\n",
        b"GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request(watched: Watched, octets: bytes) -> None:
    """Octets that are no request are refused if possible, and end the connection."""
    assert watched.refused(octets, ends=True).status in {400, 404, 405}


@pytest.mark.parametrize("extra", [0, 1])
def test_the_bound_of_a_body(serve: Serve, extra: int) -> None:
    """A body at the limit is accepted; one octet more is refused by 413 (HTTP-SIZE-1, HTTP-SIZE-2)."""
    watched = Watched(serve(body_bytes=2000))
    body = GOOD + b" " * (2000 + extra - len(GOOD))
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with watched.client:
        for octets in (
            request("POST", ADD, body),
            request("POST", ADD, chunked, Transfer_Encoding="chunked"),
        ):
            if extra:
                assert watched.refused(octets, ends=True).status == 413
            else:
                with Http.to(watched.server) as client:
                    assert client.exchange(octets).status in {200, 409}


def test_a_body_that_is_refused_before_it_comes(serve: Serve) -> None:
    """The declared length is enough for a refusal, also if the client waits for 100."""
    watched = Watched(serve(body_bytes=2000))
    with watched.client:
        octets = request("POST", ADD, None, Content_Length="2001", Expect="100-continue")
        assert watched.refused(octets, ends=True).status == 413


@pytest.mark.parametrize(
    "fields",
    [
        {f"X-{number}": "x" for number in range(30)},
        {"X": "x" * 3000},
        {"X" * 3000: "x"},
        {f"X-{number}": "x" * 300 for number in range(9)},
    ],
)
def test_the_bounds_of_headers(serve: Serve, fields: dict[str, str]) -> None:
    """Too many or too large headers are refused by 431, and nothing is performed (HTTP-HEADERS-1, HTTP-HEADERS-2)."""
    watched = Watched(serve(headers=20, header_bytes=2000))
    with watched.client:
        assert watched.refused(request("POST", ADD, GOOD, **fields), ends=True).status == 431


@pytest.mark.parametrize("part", [b"x", b"X-1: y\r\n", b"GET /", b"a: " + b"y" * 500])
def test_a_head_that_never_ends(serve: Serve, part: bytes) -> None:
    """An endless head is refused at the bound, not collected."""
    server = serve(header_bytes=2000)
    with Http.to(server) as client:
        client.send(b"GET /topics HTTP/1.1\r\n")
        try:
            for _ in range(100_000 // len(part)):
                client.send(part)
        except OSError:
            pass
        else:
            assert client.answer().status in {400, 431}


@pytest.mark.parametrize(
    "octets", [b"", b"GET /topics HTTP/1.1\r\n", request("POST", ADD, b"{", Content_Length="9")]
)
def test_a_connection_that_sends_nothing_or_half_a_request(serve: Serve, octets: bytes) -> None:
    """A connection without a whole request gets 408, and is closed."""
    server = serve(idle_timeout=0.2)
    with Http.to(server) as client:
        client.send(octets)
        answer = client.answer()
        assert (answer.status, answer.cause) == (408, "request-timeout")
        assert client.wait_for_end() == b""


def test_an_idle_connection(serve: Serve) -> None:
    """An idle connection that was served is closed without a response, as its client waits for none (HTTP-KEEP-1)."""
    with Http.to(serve(idle_timeout=1)) as client:
        assert client.get("/topics").status == 200
        assert client.wait_for_end() == b""


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (upgrade("/nothing"), 404),
        (upgrade("/topics"), 200),
        (upgrade("/stomp/"), 404),
        (upgrade(Upgrade=None), 426),
        (upgrade(Connection=None), 426),
        (upgrade(Upgrade="h2c"), 426),
        (upgrade().replace(b"GET", b"POST"), 411),
        (upgrade(Content_Length="0").replace(b"GET", b"POST"), 405),
        (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 426),
        (upgrade(Sec_WebSocket_Version="8"), 426),
        (upgrade(Sec_WebSocket_Version=None), 400),
        (upgrade(Sec_WebSocket_Key=None), 400),
        (upgrade(Sec_WebSocket_Key="short"), 400),
    ],
)
def test_upgrades_that_are_none(server: Server, octets: bytes, status: int) -> None:
    """WebSocket upgrades on a wrong path, with a wrong version, without a key (WEBSOCKET-VERSION-1, -2)."""
    with Http.to(server) as client:
        client.send(octets)
        answer = client.answer()
        assert answer.status == status
        if b"Version: 8" in octets:
            assert answer.headers["sec-websocket-version"] == "13"
    with Http.to(server) as client:
        assert client.get("/topics").status == 200
