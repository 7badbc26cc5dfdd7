"""First contact: messages about a server that admits no client, or about a peer that is no such server."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import trustme

from conformance.targets.server_process import running_server
from tests.command import odd_servers
from tests.command.conftest import SERVER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")
EVERYTHING_IS_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 16\r\n\r\n<div id='root'/>"


def refused(ended: subprocess.CompletedProcess[str], *said: str) -> None:
    """Assert status 2 and one sentence on stderr with these words."""
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    for words in said:
        assert words in ended.stderr


@pytest.mark.parametrize("more", [(), ("--class", "stomp-1.2")], ids=["found out", "asked for"])
def test_a_refused_login_is_shown(conformance: Command, more: tuple[str, ...]) -> None:
    with odd_servers.listening(odd_servers.refusing_login) as port:
        url = f"ws://127.0.0.1:{port}/ws"
        refused(conformance(url, *more), "access refused for this user", "--login", "--passcode")
        ended = conformance(url, "--login", "me", "--passcode", "wrong", *more)
        refused(ended, "access refused for this user", "login:me")
        assert "wrong" not in ended.stderr


def test_a_wrong_login_at_a_server_that_declares_itself(conformance: Command) -> None:
    command = f"{SERVER} --user someone:secret-word"
    with running_server(command) as url:
        refused(conformance(url), "ERROR", "--login")
        assert conformance(url, *CLAUSE, "--login", "someone", "--passcode", "secret-word").returncode == 0


@pytest.mark.parametrize("more", [(), ("--class", "stomp-1.2")], ids=["found out", "asked for"])
def test_a_web_server_that_answers_200_to_everything(conformance: Command, more: tuple[str, ...]) -> None:
    with odd_servers.listening(odd_servers.answering(EVERYTHING_IS_OK)) as port:
        refused(conformance(f"ws://127.0.0.1:{port}/", *more), "there is no WebSocket", "it answered 200")


@pytest.mark.parametrize("more", [(), ("--class", "stomp-1.2")], ids=["found out", "asked for"])
def test_a_web_server_that_sends_clients_elsewhere(conformance: Command, more: tuple[str, ...]) -> None:
    octets = b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n"
    with odd_servers.listening(odd_servers.answering(octets)) as port:
        refused(conformance(f"ws://127.0.0.1:{port}/", *more), "it answered 302", "https://login.example/")


def test_control_characters_of_a_server_reach_no_terminal(conformance: Command) -> None:
    body = b'{"name": "\x1b[31m\x1b]0;title\x07"}'
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    with odd_servers.listening(odd_servers.answering(octets)) as port:
        ended = conformance(f"ws://127.0.0.1:{port}/")
        refused(ended, "there is no WebSocket")
        assert not set("\x1b\x07") & set(ended.stdout + ended.stderr)


@pytest.mark.parametrize("path", ["/stmop", "/stomp/", "/STOMP"])
def test_a_slip_in_the_path_names_the_declared_endpoint(
    conformance: Command, server_url: str, path: str
) -> None:
    ended = conformance(server_url.removesuffix("/stomp") + path)
    refused(ended, "404", f"{server_url} (stomp)")


def test_a_page_in_the_place_of_the_endpoint(conformance: Command, server_url: str) -> None:
    """The path `/` of a broker is often a page: the declared endpoint is named all the same."""
    ended = conformance(server_url.removesuffix("stomp"))
    refused(ended, "there is no WebSocket at /", "200", f"{server_url} (stomp)")


def test_a_port_that_speaks_tls(conformance: Command) -> None:
    with odd_servers.listening(odd_servers.answering(EVERYTHING_IS_OK), server_context()) as port:
        refused(
            conformance(f"ws://127.0.0.1:{port}/stomp"),
            f"this port speaks TLS: try wss://127.0.0.1:{port}/stomp",
        )


def test_a_port_without_tls(conformance: Command, server_url: str) -> None:
    refused(conformance(server_url.replace("ws://", "wss://")), f"does not speak TLS: try {server_url}")


def test_a_port_that_speaks_stomp_over_tcp(conformance: Command) -> None:
    with odd_servers.listening(odd_servers.stomp_over_tcp) as port:
        refused(
            conformance(f"ws://127.0.0.1:{port}/stomp"),
            f"speaks STOMP over TCP: try stomp://127.0.0.1:{port}",
        )


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_port_that_speaks_no_http_where_only_http_is_asked_for(conformance: Command, scheme: str) -> None:
    asked = ("--class", "queue-http", "--clause", "GROUP-ADD-1")
    with odd_servers.listening(odd_servers.stomp_over_tcp) as port:
        ended = conformance(f"{scheme}://127.0.0.1:{port}/", *asked)
        refused(ended, "no HTTP at", f"speaks STOMP over TCP: try stomp://127.0.0.1:{port}")
    with odd_servers.listening(odd_servers.answering(EVERYTHING_IS_OK), server_context()) as port:
        refused(conformance(f"{scheme}://127.0.0.1:{port}/", *asked), "no HTTP at", "this port speaks TLS")


def test_a_port_that_says_nothing_in_http(conformance: Command) -> None:
    with odd_servers.listening(odd_servers.answering(b"220 mail.example ESMTP\r\n")) as port:
        refused(conformance(f"ws://127.0.0.1:{port}/stomp"), "no WebSocket at", "ESMTP")


def test_a_certificate_of_ones_own(conformance: Command, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    key, chain, ca = tmp_path / "key.pem", tmp_path / "chain.pem", tmp_path / "ca.pem"
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(chain)
    authority.cert_pem.write_to_path(ca)
    with running_server(f"{SERVER} --tls-cert {chain} --tls-key {key}") as url:
        assert url.startswith("wss://")
        url = url.replace("localhost", "127.0.0.1")
        refused(conformance(url, *CLAUSE), "--ca-file", "--insecure")
        assert conformance(url, *CLAUSE, "--ca-file", str(ca)).returncode == 0
        assert conformance(url, *CLAUSE, "--insecure").returncode == 0


@pytest.mark.parametrize(
    ("name", "not_after", "advice"),
    [
        ("other.example", None, "Name the server in the URL as its certificate does"),
        ("127.0.0.2", None, "Name the server in the URL as its certificate does"),
        ("127.0.0.1", datetime(2020, 1, 1, tzinfo=UTC), "Renew it"),
    ],
)
def test_a_certificate_that_no_authority_helps(
    conformance: Command, tmp_path: Path, name: str, not_after: datetime | None, advice: str
) -> None:
    """The advice fits a certificate of another name, or one that has expired."""
    authority = trustme.CA()
    certificate = authority.issue_cert(name, not_after=not_after)
    chain, ca = tmp_path / "chain.pem", tmp_path / "ca.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(chain)
    authority.cert_pem.write_to_path(ca)
    with running_server(f"{SERVER} --tls-cert {chain}") as url:
        url = url.replace("localhost", "127.0.0.1")
        ended = conformance(url, *CLAUSE, "--ca-file", str(ca))
        refused(ended, "is not trusted", advice, "--insecure")
        assert "--ca-file" not in ended.stderr
        assert conformance(url, *CLAUSE, "--insecure").returncode == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_with_old_versions_of_tls(conformance: Command) -> None:
    context = server_context()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with odd_servers.listening(odd_servers.silent, context) as port:
        refused(conformance(f"wss://127.0.0.1:{port}/stomp"), "TLS 1.2", "no version of TLS in common")


def test_a_server_that_is_being_started_is_waited_for(conformance: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    refused(conformance(f"ws://127.0.0.1:{port}/stomp", "--wait", "0.5"), "nobody answers")
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "reference_server", "--port", str(port), "--virtual-clock"]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    later = threading.Timer(2.0, start)
    later.start()
    try:
        ended = conformance(f"ws://127.0.0.1:{port}/stomp", *CLAUSE, "--wait", "60")
        assert ended.returncode == 0, ended.stdout + ended.stderr
    finally:
        later.join()
        started[0].terminate()
        started[0].wait()


def test_waiting_takes_seconds(conformance: Command) -> None:
    ended = conformance("ws://127.0.0.1:1/", "--wait", "soon")
    assert ended.returncode == 2
    assert "soon" in ended.stderr


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_port_that_accepts_and_never_answers(conformance: Command) -> None:
    """HTTP alone is asked for: nothing to talk to is status 2, not a run in which nothing could be judged."""
    with odd_servers.listening(odd_servers.silent) as port:
        ended = conformance(f"http://127.0.0.1:{port}", "--class", "queue-http", "--clause", "GROUP-ADD-1")
        refused(ended, "accepts connections", "--http")
