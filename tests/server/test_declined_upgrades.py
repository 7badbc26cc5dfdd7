"""Upgrades that are declined: the request is served as it is, and no octet of its body becomes another request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import Http, request, upgrade

if TYPE_CHECKING:
    from reference_server.server import Server

ADD = "/topic/add-topic"
BODY = b'{"topicName":"declined"}'
HIDDEN = request("POST", ADD, b'{"topicName":"smuggled"}')
SWITCHES = [
    {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAAQAoAAAAAIAAAAA"},
    {"Connection": "upgrade", "Upgrade": "websocket"},
    {"Connection": "Upgrade", "Upgrade": "TLS/1.0"},
    {"Connection": "keep-alive, Upgrade", "Upgrade": "h2c, websocket"},
]


def topics(server: Server) -> list[str]:
    with Http.to(server) as client:
        return [topic["topicName"] for topic in client.get("/topics").json["topics"]]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch["Upgrade"])
def test_a_post_is_served_with_its_body(server: Server, switch: dict[str, str]) -> None:
    """`curl --http2` and Java's HttpClient ask for h2c with each POST: the operation is performed (RFC 9110, 7.8)."""
    with Http.to(server) as client:
        assert client.exchange(request("POST", ADD, BODY, **switch)).status == 200
        assert client.exchange(request("POST", ADD, BODY, **switch)).status == 409
        assert client.get("/topics").status == 200
    assert topics(server) == ["declined"]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch["Upgrade"])
def test_a_chunked_body_is_served(server: Server, switch: dict[str, str]) -> None:
    """The same in chunks, and octet by octet."""
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    octets = request("POST", ADD, chunked, Transfer_Encoding="chunked", **switch)
    with Http.to(server) as client:
        assert client.exchange(octets).status == 200
        for octet in octets:
            client.send(bytes([octet]))
        assert client.answer().status == 409


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch["Upgrade"])
def test_a_body_is_no_request(server: Server, switch: dict[str, str], method: str) -> None:
    """A body that looks like a request is only a body."""
    for path in (ADD, "/stomp", "/topics"):
        with Http.to(server) as client:
            client.send(request(method, path, HIDDEN, **switch) + request("GET", "/capabilities"))
            client.answer()
            assert client.answer().json["name"]
    assert topics(server) == []


def test_many_at_once(server: Server) -> None:
    """Pipelined requests that all ask for an upgrade are answered in order."""
    names = [f"t{number}" for number in range(300)]
    octets = [request("POST", ADD, json.dumps({"topicName": name}).encode(), **SWITCHES[0]) for name in names]
    with Http.to(server) as client:
        client.send(b"".join(octets))
        assert [client.answer().json["topicName"] for _ in names] == names


@pytest.mark.parametrize(
    "rest", [b"\x00\x00", b"nonsense\r\n\r\n", b"GET /topics HTTP/7\r\n\r\n", b"\xff" * 3000]
)
def test_nonsense_after_it(server: Server, rest: bytes) -> None:
    """Octets after such a request are refused as elsewhere: by 400 and the end of the connection."""
    with Http.to(server) as client:
        client.send(request("GET", "/topics", Connection="Upgrade", Upgrade="h2c") + rest)
        assert client.answer().status == 200
        assert client.answer().status in {400, 405}
        assert client.wait_for_end() == b""


@pytest.mark.parametrize("target", ["localhost:80", "example.com:443", "/"])
def test_connect(server: Server, target: str) -> None:
    """CONNECT is refused, and nothing behind it is read."""
    with Http.to(server) as client:
        client.send(f"CONNECT {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() + HIDDEN)
        assert client.answer().status in {400, 405}
        assert client.wait_for_end() == b""
    assert topics(server) == []


def test_a_websocket_handshake_with_a_body(server: Server) -> None:
    """A handshake has no body (RFC 6455, 4.1): one that announces a body is no upgrade, and the body is none either."""
    with Http.to(server) as client:
        client.send(upgrade(Content_Length=str(len(HIDDEN))) + HIDDEN + request("GET", "/capabilities"))
        assert client.answer().status == 426
        assert client.answer().json["name"]
    assert topics(server) == []
