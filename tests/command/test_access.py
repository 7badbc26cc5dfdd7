"""Headers, queries, prefixes and logins that a gateway wants, and that no report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from conformance.targets.server_process import running_server
from tests.command.conftest import SERVER
from tests.command.gateway import Gateway, Request, answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command.conftest import Command

#: One clause over HTTP, one of the upgrade, one of CONNECT.
CLAUSES = (
    *("--clause", "HTTP-POST-1", "--clause", "WEBSOCKET-PATH-1", "--clause", "WEBSOCKET-VERSION-1"),
    *("--clause", "STOMP-CONNECT-001", "--clause", "HTTP-PIPE-1", "--clause", "HTTP-CHUNKED-1"),
    *("--clause", "QSTOMP-ENDPOINT-1", "--effort", "quick"),
)
#: A clause, a SHOULD, that the reference server breaks behind `breaking`.
BROKEN = ("--clause", "HTTP-KEEP-1", "--class", "queue-http")


def port_of(url: str) -> int:
    """Port of a URL."""
    port = urlsplit(url).port
    assert port is not None
    return port


def written(folder: Path) -> str:
    """All that a run wrote."""
    return "".join(file.read_text("utf-8", "replace") for file in folder.rglob("*") if file.is_file())


def is_let_in(request: Request) -> bool:
    """True for a request with the header, the cookie, the origin and the token of these tests."""
    return (
        request.get("authorization") == "Bearer abcdef123456"
        and request.get("origin") == "https://app.example"
        and "token=tok-98765" in request.path
    )


@pytest.fixture(scope="module")
def origin_server_url() -> Iterator[str]:
    """A reference server that serves pages of the gateway's origin."""
    with running_server(f"{SERVER} --allow-origin https://app.example") as url:
        yield url


@pytest.fixture
def guarded(origin_server_url: str) -> Iterator[Gateway]:
    """A gateway that wants a header, an origin and a token in the query of each request."""

    def decide(request: Request) -> Request | bytes:
        return request if is_let_in(request) else answer("401 Unauthorized", "who are you?")

    with Gateway(port_of(origin_server_url), decide) as gateway:
        yield gateway


HEADERS = ("--header", "Authorization: Bearer abcdef123456", "--header", "Origin: https://app.example")


def test_headers_and_the_query_go_with_every_request(
    conformance: Command, guarded: Gateway, tmp_path: Path
) -> None:
    url = f"ws://127.0.0.1:{guarded.port}/stomp?token=tok-98765"
    ended = conformance(url, *HEADERS, *CLAUSES, "--report", str(tmp_path / "made"), "--verbose")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert all(is_let_in(request) for request in guarded.requests)
    everything = ended.stdout + ended.stderr + written(tmp_path / "made")
    assert "abcdef123456" not in everything
    assert "tok-98765" not in everything
    assert "token=***" in everything


def test_they_may_stand_in_the_target_file(conformance: Command, guarded: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[headers]\nAuthorization = "Bearer abcdef123456"\nOrigin = "https://app.example"\n'
    )
    url = f"ws://127.0.0.1:{guarded.port}/stomp?token=tok-98765"
    ended = conformance(url, "--target", str(file), *CLAUSES)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_they_are_missing_in_is_said(conformance: Command, guarded: Gateway) -> None:
    ended = conformance(f"ws://127.0.0.1:{guarded.port}/stomp")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "401 who are you?" in ended.stderr
    assert "--header" in ended.stderr


def test_an_unknown_path_is_not_judged_by_a_gateways_refusal(conformance: Command, server_url: str) -> None:
    def decide(request: Request) -> Request | bytes:
        return answer("401 Unauthorized") if "no-such-path" in request.path else request

    with Gateway(port_of(server_url), decide) as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/stomp"
        ended = conformance(url, "--clause", "WEBSOCKET-PATH-1", "--class", "websocket")
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "401" in ended.stdout


def test_headers_of_connect(conformance: Command, tmp_path: Path) -> None:
    from conformance.targets.server_process import running_server
    from tests.command.conftest import SERVER

    with running_server(f"{SERVER} --user someone:secret-word") as url:
        login = ("--connect-header", "login:someone", "--connect-header", "passcode:secret-word")
        ended = conformance(url, *login, "--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "secret-word" not in ended.stdout
        file = tmp_path / "mine.toml"
        file.write_text('name = "m"\n[connect_headers]\nlogin = "someone"\npasscode = "secret-word"\n')
        ended = conformance(url, "--target", str(file), "--clause", "STOMP-CONNECT", "--class", "stomp-1.1")
        assert ended.returncode == 0, ended.stdout + ended.stderr


def breaking(request: Request) -> Request | bytes:
    """Gateway that ends the connection after each heartbeat, and tells what it was sent."""
    if request.path.partition("?")[0] == "/consumer/heartbeat":
        said = f"you sent {request.path} and {request.get('authorization')}"
        return answer("202 Accepted", said)
    return request


def test_user_and_password_of_the_url_are_sent_and_hidden(
    conformance: Command, server_url: str, tmp_path: Path
) -> None:
    with Gateway(port_of(server_url), breaking) as gateway:
        url = f"ws://bob:hunter%40two@127.0.0.1:{gateway.port}/stomp?token=T0ken&v=1"
        ended = conformance(url, *BROKEN, "--report", str(tmp_path / "made"), "--verbose")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "you sent" in ended.stdout
        port = gateway.port
        assert all(
            request.get("authorization") == "Basic Ym9iOmh1bnRlckB0d28=" for request in gateway.requests
        )
    everything = ended.stdout + ended.stderr + written(tmp_path / "made")
    for secret in ("hunter", "Ym9iOmh1bnRlckB0d28=", "T0ken"):
        assert secret not in everything
    assert f"ws://***@127.0.0.1:{port}/stomp?token=***&amp;v=1" in everything
    for name in ("report.json", "junit.xml", "report.html"):
        assert "***" in (tmp_path / "made" / name).read_text("utf-8")


@pytest.mark.parametrize(
    "url", ["ws://bob:hunter2@127.0.0.1:1/?token=T0ken", "ws://bob:hunter2@h/a b?token=T0ken"]
)
def test_a_url_that_leads_nowhere_is_shown_without_its_password(conformance: Command, url: str) -> None:
    ended = conformance(url)
    assert ended.returncode == 2
    assert "hunter2" not in ended.stderr
    assert "T0ken" not in ended.stderr


@pytest.fixture
def prefixed(server_url: str) -> Iterator[Gateway]:
    """A gateway that serves everything below /broker, and nothing else."""

    def decide(request: Request) -> Request | bytes:
        if not request.path.startswith("/broker/"):
            return answer("404 Not Found", "not here")
        return request.at(request.path.removeprefix("/broker"))

    with Gateway(port_of(server_url), decide) as gateway:
        yield gateway


@pytest.mark.parametrize("form", ["http://127.0.0.1:{}/broker", "ws://127.0.0.1:{}/broker/stomp"])
def test_a_prefix_is_kept(conformance: Command, prefixed: Gateway, form: str) -> None:
    ended = conformance(form.format(prefixed.port), *CLAUSES)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    strays = {request.path for request in prefixed.requests if not request.path.startswith("/broker/")}
    assert strays <= {"/capabilities"}


def test_a_slip_below_a_prefix_names_the_declared_endpoint(conformance: Command, prefixed: Gateway) -> None:
    ended = conformance(f"ws://127.0.0.1:{prefixed.port}/broker/stmop")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert f"ws://127.0.0.1:{prefixed.port}/broker/stomp (stomp)" in ended.stderr


@pytest.mark.parametrize("from_file", [False, True], ids=["option", "target file"])
def test_http_may_be_elsewhere(
    conformance: Command, server_url: str, tmp_path: Path, from_file: bool
) -> None:
    def websocket_only(request: Request) -> Request | bytes:
        return request if request.is_upgrade else answer("404 Not Found", "no HTTP here")

    def http_only(request: Request) -> Request | bytes:
        if request.is_upgrade or not request.path.startswith("/api/"):
            return answer("404 Not Found", "no WebSocket here")
        return request.at(request.path.removeprefix("/api"))

    port = port_of(server_url)
    with Gateway(port, websocket_only) as websocket, Gateway(port, http_only) as http:
        there = f"http://127.0.0.1:{http.port}/api/"
        file = tmp_path / "mine.toml"
        file.write_text(f'name = "mine"\nhttp = "{there}"\n')
        more = ("--target", str(file)) if from_file else ("--http", there)
        ended = conformance(f"ws://127.0.0.1:{websocket.port}/stomp", *more, *CLAUSES)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--header", "Authorization"), "Name: value"),
        (("--header", "bad name: x"), "bad name"),
        (("--header", "Content-Length: 3"), "set by the suite"),
        (("--connect-header", "client-id"), "name:value"),
        (("--http", "ws://h/"), "http or https"),
        (("--http", "/api"), "http or https"),
    ],
)
def test_what_is_none_is_refused(conformance: Command, arguments: tuple[str, ...], said: str) -> None:
    ended = conformance("ws://127.0.0.1:1/", *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("value", ["ws://h/producer", "//h/producer", "/a b"])
def test_an_endpoint_is_a_path(conformance: Command, tmp_path: Path, value: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\n[endpoints]\nproducer = "{value}"\n')
    ended = conformance("ws://127.0.0.1:1/", "--target", str(file))
    assert ended.returncode == 2
    assert "expected a path" in ended.stderr
    assert "producer" in ended.stderr
