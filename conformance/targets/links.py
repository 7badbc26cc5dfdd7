"""Connections to a target for STOMP, by the transport of its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.wire.tcp import TcpLink
from conformance.wire.websocket import WebSocketLink

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from conformance.targets.target import Target
    from conformance.wire.link import Link
    from conformance.wire.trace import Trace


def new_link(
    target: Target,
    path: str | None = None,
    subprotocols: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    *,
    trace: Trace | None = None,
    patience: float | None = None,
    interrupted: threading.Event | None = None,
) -> Link:
    """Open a connection to `target`; `path`, `subprotocols` and `headers` are those of the upgrade, if there is one.

    `patience` is in seconds, by default that of the target. Raises as `WebSocketLink` and `TcpLink` do.
    """
    if target.is_tcp:
        return TcpLink(
            target.stream_url,
            trace,
            target.patience if patience is None else patience,
            tls=target.tls,
            interrupted=interrupted,
            access=target.access,
        )
    return new_websocket(
        target, path, subprotocols, headers, trace=trace, patience=patience, interrupted=interrupted
    )


def new_websocket(
    target: Target,
    path: str | None = None,
    subprotocols: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    *,
    trace: Trace | None = None,
    patience: float | None = None,
    interrupted: threading.Event | None = None,
) -> WebSocketLink:
    """Open a WebSocket connection to `target`. Raises as `WebSocketLink` does."""
    return WebSocketLink(
        target.websocket_url(path),
        subprotocols,
        trace,
        target.patience if patience is None else patience,
        tls=target.tls,
        headers=headers,
        access=target.access,
        interrupted=interrupted,
    )
