"""Links of clients that are known to be WebSocket connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.wire.websocket import WebSocketLink

if TYPE_CHECKING:
    from conformance.wire.stomp import StompClient


def websocket_of(client: StompClient) -> WebSocketLink:
    """Link of a client in the binding `websocket`."""
    assert isinstance(client.link, WebSocketLink)
    return client.link
