"""Additions to every request, as a server or a gateway may need them: headers, a query, a prefix of the path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.wire.admission import Admission


SUBPROTOCOL = "sec-websocket-protocol"


@dataclass(frozen=True)
class Access:
    """Additions to each request of a run.

    `headers` go with every HTTP request and every upgrade, `query` (without `?`) is added to their paths, and `prefix`
    goes before the paths of HTTP requests. `connect_headers` go with every CONNECT and STOMP frame.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    prefix: str = ""
    connect_headers: Mapping[str, str] = field(default_factory=dict)
    admission: Admission | None = None

    @property
    def subprotocols(self) -> list[str]:
        """Subprotocols that every upgrade offers which offers none of its own."""
        given = ",".join(value for name, value in self.headers.items() if name.lower() == SUBPROTOCOL)
        return [name.strip() for name in given.split(",") if name.strip()]

    def http_path(self, path: str) -> str:
        """Path of an HTTP request, with prefix and query. The `*` of OPTIONS stays as it is."""
        return self.with_query(f"{self.prefix}{path}") if path.startswith("/") else path

    def with_query(self, path: str) -> str:
        """Path with the query behind its own, if it has one."""
        if not self.query:
            return path
        return f"{path}{'&' if '?' in path else '?'}{self.query}"

    def with_headers(self, headers: Mapping[str, str] | None = None) -> dict[str, str]:
        """Headers of a request: its own go before those of the same name here."""
        own = {name.lower() for name in headers or {}}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in own}
        return {**kept, **(headers or {})}
