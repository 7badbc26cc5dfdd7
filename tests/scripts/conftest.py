"""A real server for the sample clients."""

from tests.server.conftest import serve, server

__all__ = ["serve", "server"]
