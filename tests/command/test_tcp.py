"""Runs at servers of STOMP over TCP, and first contact with ports that speak something else."""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import trustme

from conformance.targets.server_process import running_server
from tests.command import odd_servers
from tests.command.conftest import SERVER
from tests.command.test_first_contact import EVERYTHING_IS_OK, refused

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command.conftest import Command

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")
STOMP = ("--class", "stomp-1.0", "--class", "stomp-1.1", "--class", "stomp-1.2", "--class", "tcp")
START_SECONDS = 30.0


@contextlib.contextmanager
def printing(command: str) -> Iterator[str]:
    """The first two lines that a server prints; it runs as long as the context."""
    server = subprocess.Popen(command.split(), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    stuck = threading.Timer(START_SECONDS, server.kill)
    stuck.start()
    try:
        told = server.stdout.readline() + server.stdout.readline()
        stuck.cancel()
        yield told
    finally:
        stuck.cancel()
        server.terminate()
        server.wait(START_SECONDS)
        server.stdout.close()


@contextlib.contextmanager
def reference_server(*flags: str) -> Iterator[tuple[str, str]]:
    """A reference server's URLs for TCP and for HTTP."""
    with printing(" ".join([SERVER, "--stomp-port 0", *flags])) as told:
        stream, web = re.search(r"stomps?://\S+", told), re.search(r"wss?://([^/\s]+)", told)
        assert stream is not None, told
        assert web is not None, told
        yield stream.group(), f"http{'s' if web[0].startswith('wss') else ''}://{web[1]}"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    with reference_server() as urls:
        yield urls


def test_all_of_stomp_is_judged(conformance: Command, server: tuple[str, str]) -> None:
    ended = conformance(server[0], "--effort", "quick")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name in ("stomp-1.0", "stomp-1.1", "stomp-1.2", "tcp"):
        assert re.search(rf"^{name} +✓ \d+", ended.stdout, re.MULTILINE), ended.stdout
    assert "websocket " not in ended.stdout


@pytest.mark.parametrize("scheme", ["stomp", "tcp"])
def test_schemes_of_other_tools(conformance: Command, server: tuple[str, str], scheme: str) -> None:
    url = server[0].replace("stomp://", f"{scheme}://")
    for end in ("", "/"):
        ended = conformance(url + end, *CLAUSE)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_queue_is_judged_where_its_capabilities_are(
    conformance: Command, server: tuple[str, str]
) -> None:
    url, http = server
    ended = conformance(url, "--http", http, "--clause", "GROUP-ADD-1", "--clause", "QSTOMP-REPLY")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^queue-stomp +✓", ended.stdout, re.MULTILINE), ended.stdout


def test_tls(conformance: Command, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with reference_server("--tls-cert", str(tmp_path / "server.pem")) as (url, _):
        refused(conformance(url, *CLAUSE), "--ca-file", "--insecure")
        for scheme in ("stomps", "stomp+ssl", "ssl"):
            secure = url.replace("stomps://", f"{scheme}://")
            ended = conformance(secure, *CLAUSE, "--ca-file", str(tmp_path / "ca.pem"))
            assert ended.returncode == 0, ended.stdout + ended.stderr
        ended = conformance(url, "--insecure", "--class", "tcp")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        plain = url.replace("stomps://", "stomp://")
        refused(conformance(plain, *CLAUSE), f"this port speaks TLS: try {url}")


def test_a_login_in_the_url(conformance: Command) -> None:
    with reference_server("--user", "someone:secret-word") as (url, _):
        refused(conformance(url, *CLAUSE), "refuses CONNECT", "--login")
        named = url.replace("://", "://someone:secret-word@")
        ended = conformance(named, *CLAUSE)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "secret-word" not in ended.stdout + ended.stderr


def test_a_port_without_tls(conformance: Command, server: tuple[str, str]) -> None:
    refused(conformance(server[0].replace("stomp://", "stomps://"), *CLAUSE), f"try {server[0]}")


@pytest.mark.parametrize("more", [(), CLAUSE], ids=["found out", "asked for"])
def test_a_port_that_speaks_websocket(
    conformance: Command, server: tuple[str, str], more: tuple[str, ...]
) -> None:
    where = server[1].removeprefix("http://")
    refused(conformance(f"stomp://{where}", *more), "speaks STOMP over WebSocket", f"try ws://{where}/stomp")


@pytest.mark.parametrize("more", [(), CLAUSE], ids=["found out", "asked for"])
def test_a_port_that_speaks_http(conformance: Command, more: tuple[str, ...]) -> None:
    with odd_servers.listening(odd_servers.answering(EVERYTHING_IS_OK)) as port:
        refused(conformance(f"stomp://127.0.0.1:{port}", *more), "no STOMP at", "this port speaks HTTP")


@pytest.mark.parametrize("more", [(), CLAUSE], ids=["found out", "asked for"])
def test_a_port_that_speaks_tls(conformance: Command, more: tuple[str, ...]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with odd_servers.listening(odd_servers.answering(EVERYTHING_IS_OK), context) as port:
        refused(
            conformance(f"stomp://127.0.0.1:{port}", *more),
            f"this port speaks TLS: try stomps://127.0.0.1:{port}",
        )


def _silent(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def _gone(client: socket.socket) -> None:
    client.recv(4096)


def _smtp(client: socket.socket) -> None:
    client.sendall(b"220 mail.example ESMTP\r\n")
    _silent(client)


@pytest.mark.parametrize(
    ("serve", "said"),
    [(_silent, "no answer to CONNECT"), (_gone, "ends the connection at CONNECT"), (_smtp, "ESMTP")],
    ids=["silence", "end", "smtp"],
)
def test_a_port_that_speaks_something_else(conformance: Command, serve: odd_servers.Serve, said: str) -> None:
    with odd_servers.listening(serve) as port:
        refused(conformance(f"stomp://127.0.0.1:{port}"), "no STOMP at", said, "61613")


def test_nobody_answers(conformance: Command) -> None:
    refused(conformance("stomp://127.0.0.1:1"), "nobody answers", "stomp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("stomp://127.0.0.1:1/stomp", (), "has a path"),
        ("stomp://127.0.0.1:1?a=b", (), "has a path"),
        ("stomp://127.0.0.1:1", ("--class", "websocket"), "can't be judged at stomp://127.0.0.1:1"),
        ("ws://127.0.0.1:1/stomp", ("--class", "tcp"), "can't be judged at ws://127.0.0.1:1/stomp"),
        ("mqtt://127.0.0.1:1", (), "stomp"),
    ],
)
def test_a_url_that_is_wrong(conformance: Command, url: str, more: tuple[str, ...], said: str) -> None:
    refused(conformance(url, *more), said)


FAULTY = f"{sys.executable} -m tests.mutants.serving"


def test_a_failure_is_sent_again(conformance: Command, tmp_path: Path, server: tuple[str, str]) -> None:
    """A failure over TCP is recorded, fails again at the same server, no more at another, and not over WebSocket."""
    faulty = f"{FAULTY} frames-in-one-segment-are-lost --virtual-clock --stomp-port 0"
    with printing(faulty) as told:
        url = told.rpartition(" ")[2].strip()
        ended = conformance(url, "--class", "tcp", "--effort", "quick", "--report", str(tmp_path))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        told = " ".join(ended.stdout.replace("\\\n", " ").split())
        assert f"python -m conformance {url} --effort quick --class tcp --clause TCP-" in told
        file = str(next((tmp_path / "failures").glob("TCP-SEGMENTS-2*.jsonl")))
        again = conformance("replay", file, url)
        assert again.returncode == 1, again.stdout + again.stderr
        assert "FAILS AGAIN" in again.stdout
    mended = conformance("replay", file, server[0])
    assert mended.returncode == 0, mended.stdout + mended.stderr
    web = server[1].replace("http://", "ws://") + "/stomp"
    refused(conformance("replay", file, web), "another transport", "stomp://")


def test_a_server_that_prints_the_url_of_tcp_alone_is_launched(tmp_path: Path) -> None:
    script = tmp_path / "printing.py"
    script.write_text("print('ready at stomp://127.0.0.1:61613.', flush=True)\ninput()\n", "utf-8")
    with running_server(f"{sys.executable} {script}") as url:
        assert url == "stomp://127.0.0.1:61613"


def test_a_report_of_a_run_can_be_compared(conformance: Command, tmp_path: Path) -> None:
    with reference_server() as (stream, _):
        ended = conformance(stream, *CLAUSE, "--report", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    compared = conformance("compare", str(tmp_path), str(tmp_path))
    assert compared.returncode == 0, compared.stdout + compared.stderr
