"""Clients and strict readers of HTTP, WebSocket and STOMP: the only part of the suite that does network I/O."""
