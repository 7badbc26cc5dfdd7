"""Heads of replies as gateways write them: what HTTP allows changes no verdict."""

from __future__ import annotations

import pytest

from tests.command import odd_servers
from tests.command.conftest import run_conformance
from tests.command.relay_of_heads import Edit, adding, editing

CLAUSES = ("--class", "stomp-1.2", "--clause", "STOMP-CONNECT-001")
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"

EDITS: dict[str, Edit] = {
    "hints before the reply": lambda head: HINTS + head,
    "continue before the reply": lambda head: b"HTTP/1.1 100 Continue\r\n\r\n" + head,
    "several interim replies": lambda head: b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + HINTS + head,
    "values in Latin-1": adding(b"Via: 1.1 caf\xe9\xff"),
    "values in UTF-8": adding("Server: 日本".encode()),
    "a folded value": adding(b"X-Policy: one;\r\n two;\r\n\tthree"),
    "cookies": adding(b"Set-Cookie: SERVER=a; Path=/\r\nSet-Cookie: B=2; HttpOnly"),
    "names in lower case": lambda head: b"\r\n".join(
        [head.split(b"\r\n")[0], *(name.lower() + colon + value for name, colon, value in _lines(head))]
    ),
    "no reason phrase": lambda head: head.replace(b" Switching Protocols\r\n", b"\r\n", 1),
}


def _lines(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [line.partition(b":") for line in head.split(b"\r\n")[1:]]


@pytest.mark.parametrize("name", EDITS)
def test_a_head_that_http_allows(server_url: str, name: str) -> None:
    with odd_servers.listening(editing(server_url, EDITS[name])) as port:
        ended = run_conformance(f"ws://127.0.0.1:{port}/stomp", *CLAUSES)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_head_of_interim_replies_without_end(server_url: str) -> None:
    """The reply never comes: that ends at the bound of a head, and is the server's fault."""
    with odd_servers.listening(editing(server_url, lambda head: HINTS * 20_000 + head)) as port:
        ended = run_conformance(f"ws://127.0.0.1:{port}/stomp", *CLAUSES)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "a short answer to the upgrade" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
