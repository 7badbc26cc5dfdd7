"""Sockets and threads around the pure parts: WebSocket, HTTP, TLS, limits, timers. The only I/O."""

from reference_server.server.running import Server

__all__ = ["Server"]
