"""Pages of the origins that --allow-origin names: browsers let them ask, and read the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.wire import Http, request

if TYPE_CHECKING:
    from tests.server.conftest import Serve

APP = "https://app.example"
ADD = "/topic/add-topic"
BODY = b'{"topicName":"fresh"}'
ALLOWED = "access-control-allow-origin"


def preflight(path: str, origin: str, method: str = "POST", headers: str = "content-type") -> bytes:
    """The question of a browser before a page may send JSON to another origin."""
    return request(
        "OPTIONS",
        path,
        Origin=origin,
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers=headers,
    )


@pytest.mark.parametrize("path", [ADD, "/poll", "/clock/advance", "/nothing"])
@pytest.mark.parametrize("users", [(), ("ann:x",)])
def test_a_browser_asks_first(serve: Serve, path: str, users: tuple[str, ...]) -> None:
    """The question is answered without a login, which browsers do not send with it, and nothing is performed."""
    server = serve(allow_origin=(APP,), user=users)
    with Http.to(server) as client:
        answer = client.exchange(preflight(path, APP))
        assert answer.status == 204
        assert answer.headers[ALLOWED] == APP
        assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
        allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert {"content-type", "authorization"} <= set(allowed)
        assert answer.headers["vary"] == "Origin"
        assert client.get("/health").status == 200


def test_a_page_reads_its_answers(serve: Serve) -> None:
    """Answers and refusals name the page's origin; caches keep them apart."""
    with Http.to(serve(allow_origin=(APP,))) as client:
        for octets, status in (
            (request("POST", ADD, BODY, Origin=APP), 200),
            (request("POST", ADD, BODY, Origin=APP), 409),
            (request("POST", ADD, b"{", Origin=APP), 400),
            (request("GET", "/topics", Origin=APP), 200),
            (request("GET", "/nothing", Origin=APP), 404),
            (request("GET", "/capabilities", Origin=APP), 200),
        ):
            answer = client.exchange(octets)
            assert (answer.status, answer.headers[ALLOWED], answer.headers["vary"]) == (status, APP, "Origin")


def test_a_login_that_is_missing_can_be_read(serve: Serve) -> None:
    """A page learns that it needs a login."""
    with Http.to(serve(allow_origin=(APP,), user=("ann:x",))) as client:
        answer = client.exchange(request("GET", "/topics", Origin=APP))
        assert (answer.status, answer.headers[ALLOWED]) == (401, APP)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example", APP + ".evil.example"]
)
def test_pages_of_others_read_nothing(serve: Serve, origin: str) -> None:
    """Other pages get 403 for the question, too, and no leave to read it."""
    server = serve(allow_origin=(APP,))
    for octets in (preflight(ADD, origin), request("POST", ADD, BODY, Origin=origin)):
        with Http.to(server) as client:
            answer = client.exchange(octets)
            assert answer.status == 403
            assert not {name for name in answer.headers if name.startswith("access-control")}


def test_any_page(serve: Serve) -> None:
    """With `*` the answer to each page names its own origin."""
    with Http.to(serve(allow_origin=("*",))) as client:
        for origin in (APP, "null"):
            assert client.exchange(preflight(ADD, origin)).headers[ALLOWED] == origin
            assert client.exchange(request("GET", "/topics", Origin=origin)).headers[ALLOWED] == origin


def test_requests_of_no_page(serve: Serve) -> None:
    """Without an origin, and for the server's own pages, nothing is added; OPTIONS is a method like others."""
    with Http.to(serve(allow_origin=(APP,))) as client:
        for octets in (request("GET", "/topics"), request("GET", "/topics", Origin="http://localhost")):
            assert not {name for name in client.exchange(octets).headers if name.startswith("access-control")}
        assert client.exchange(request("OPTIONS", ADD)).status == 405
