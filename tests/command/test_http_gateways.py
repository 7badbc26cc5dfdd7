"""HTTP in the forms that gateways give it: the server behind them is judged as without."""

from __future__ import annotations

import pytest

from tests.command import odd_servers
from tests.command.conftest import run_conformance
from tests.command.http_gateway import FORMS, plain, rewriting

SOME = ("POLL-OK", "ACK-OK", "CAP", "TOPIC-ADD")


@pytest.mark.parametrize("name", FORMS)
def test_a_gateway_that_writes_replies_in_another_form(server_url: str, name: str) -> None:
    clauses = [word for clause in SOME for word in ("--clause", clause)]
    with odd_servers.listening(rewriting(server_url, FORMS[name])) as port:
        classes = ("--class", "queue-http", "--class", "http-publish")
        ended = run_conformance(f"http://127.0.0.1:{port}/", *classes, *clauses, "--effort", "quick")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("most", [2, 10])
def test_a_gateway_that_ends_connections_without_a_word(server_url: str, most: int) -> None:
    """A request that crosses with the end of its connection is sent again (RFC 9112, section 9.5)."""
    clauses = [word for clause in SOME for word in ("--clause", clause)]
    with odd_servers.listening(rewriting(server_url, plain, most)) as port:
        classes = ("--class", "queue-http", "--class", "http-publish")
        ended = run_conformance(f"http://127.0.0.1:{port}/", *classes, *clauses, "--effort", "quick")
    assert ended.returncode == 0, ended.stdout + ended.stderr
