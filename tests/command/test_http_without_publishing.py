"""Servers of the queue over HTTP that declare nothing, and have no WebSocket: how are they published to?"""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.command.gateway import Gateway, Request, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command.conftest import Command

QUICK = ("--effort", "quick", "--class", "queue-http")
SOME = (*QUICK, "--clause", "POLL-OK-1", "--clause", "HTTP-POST-1", "--clause", "GROUP-ADD-1")


@pytest.fixture
def bare_url(server_url: str) -> Iterator[str]:
    """A server that conforms over HTTP, without capabilities, and without WebSocket."""

    def decide(request: Request) -> Request | bytes:
        is_hidden = request.is_upgrade or request.path == "/capabilities"
        return answer("404 Not Found") if is_hidden else request

    with Gateway(int(urlsplit(server_url).port or 0), decide) as gateway:
        yield f"http://127.0.0.1:{gateway.port}"


def test_records_that_nobody_can_publish_break_no_clause(conformance: Command, bare_url: str) -> None:
    """No class promises a WebSocket: what can't be published is inconclusive, and the note names the class to add."""
    done = conformance(bare_url, *SOME)
    assert done.returncode in (0, 4), done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert "no record could be published" in done.stderr
    assert "--class queue-http --class http-publish" in done.stderr


def test_the_class_that_the_note_names_is_all_that_was_missing(conformance: Command, bare_url: str) -> None:
    """With it, the same server is judged by the same clauses, and conforms."""
    done = conformance(bare_url, *SOME, "--class", "http-publish")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ 3" in done.stdout
    assert "no record could be published" not in done.stderr


class _Agreeing(http.server.BaseHTTPRequestHandler):
    """Answers 200 to any POST, as a web page does."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the body, and answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def agreeing() -> Iterator[int]:
    """Port of a server that answers 200 on every path."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Agreeing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_server_that_answers_200_everywhere_is_told_so(conformance: Command) -> None:
    """Its user thinks that it serves the queue: the message says why that can't be told."""
    with agreeing() as port:
        done = conformance(f"http://127.0.0.1:{port}")
    assert done.returncode == 2, done.stdout
    assert "answers 200 on every path over HTTP" in done.stderr
