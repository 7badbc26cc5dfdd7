"""The sample clients get a real server."""

from tests.server.conftest import serve, server

__all__ = ["serve", "server"]
