"""Gateways before a server: what they want of an upgrade, and what they answer in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.command.gateway import Gateway, Request, answer

if TYPE_CHECKING:
    from tests.command.conftest import Command

CLAUSES = ("--effort", "quick", "--clause", "STOMP-SEND-001", "--clause", "STOMP-WS")
PROTOCOL = ("--header", "Sec-WebSocket-Protocol: v12.stomp")


def exacting(request: Request) -> Request | bytes:
    """Want one STOMP subprotocol in every upgrade."""
    if request.is_upgrade and request.get("sec-websocket-protocol") == "":
        return answer("400 Bad Request", "a subprotocol is needed")
    return request


def with_a_login_page(request: Request) -> Request | bytes:
    """Send whoever asks for an upgrade to a login page."""
    return answer("302 Found", "", "Location: /login") if request.is_upgrade else request


def test_a_server_that_wants_a_subprotocol(conformance: Command, server_url: str) -> None:
    """The option is named, and with it the server is judged: the offers of the tests go before it."""
    with Gateway(urlsplit(server_url).port or 0, exacting) as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/stomp"
        ended = conformance(url, *CLAUSES)
        assert ended.returncode == 2
        assert "--header 'Sec-WebSocket-Protocol: v12.stomp'" in ended.stderr
        ended = conformance(url, *CLAUSES, *PROTOCOL)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("decide", [exacting, with_a_login_page], ids=lambda decide: decide.__name__)
def test_the_endpoint_that_refused_is_not_named_as_another_one(
    conformance: Command, server_url: str, decide: object
) -> None:
    """Capabilities that declare the endpoint of the URL name no other one to try."""
    with Gateway(urlsplit(server_url).port or 0, decide) as gateway:  # type: ignore[arg-type]
        ended = conformance(f"ws://127.0.0.1:{gateway.port}/stomp")
        assert ended.returncode == 2
        assert "Its capabilities declare this endpoint" in ended.stderr
        assert "other endpoints" not in ended.stderr
