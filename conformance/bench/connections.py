"""Connections of one test: opened at the nodes in turn, admitted where the server has room, closed at its end."""

from __future__ import annotations

import contextlib
import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from conformance.run.admittance import connect_headers
from conformance.targets.address import HttpHost
from conformance.targets.links import new_link, new_websocket
from conformance.wire.failures import Crowded, NotAdmitted, PeerFailure, RunEnded
from conformance.wire.http import HttpClient
from conformance.wire.stomp import StompClient
from conformance.wire.trace import Trace
from conformance.wire.upgrade_attempts import admitted_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conformance.run.run import Run
    from conformance.targets.target import Target
    from conformance.wire.access import Access
    from conformance.wire.admission import Admission
    from conformance.wire.frames import Frame
    from conformance.wire.link import Link
    from conformance.wire.websocket import WebSocketLink

    L = TypeVar("L", bound=Link)

#: Extra patience per second of scheduling delay: suite and server may both be delayed, several times per answer.
PATIENCE_PER_DELAY = 10
#: Cap on the extra patience, in multiples of the normal one.
MOST_EXTRA_PATIENCE = 2
#: Clauses that promise a connection and a session to every client: a refusal counts in their tests only.
UPGRADE_PROMISES = ("QSTOMP-ENDPOINT-1", "STOMP-LINGER-001")
CONNECT_PROMISES = ("STOMP-CONNECT-001", *UPGRADE_PROMISES)


class Connections:
    """Opens the connections of one test. Thread-safe, but each connection is for one thread at a time."""

    def __init__(self, run: Run, binding: str) -> None:
        access = run.target.access
        self.admission = access.admission.of_test() if access.admission else None
        """Admission of the connections of this test; None without limits and repetition."""
        self.target: Target = _admitting(run.target, self.admission) if self.admission else run.target
        self.version = run.target.version_for(binding)
        usual = run.target.patience
        self.patience = usual + min(
            PATIENCE_PER_DELAY * run.scheduling_delay.longest(), MOST_EXTRA_PATIENCE * usual
        )
        """Seconds to wait for a required answer: more on a machine with long scheduling delays."""
        self.of_thread = threading.local()
        """Connections that a thread keeps for itself; dropped with the connections."""
        self._trace = Trace(sent=run.presence.note_sent, received=run.presence.note_received)
        self._interrupted = run.interrupted
        self._nodes = itertools.cycle(self.target.nodes)
        """The node of the next connection: a test has its clients on different ones."""
        self.outlasts_outages = False
        """True if connections and answers that are missing say nothing about the server's presence."""
        self._at_end: list[Callable[[], object]] = []

    def http(self) -> HttpClient:
        """Client on a kept-alive HTTP connection of its own."""
        node = self._next_node()
        return self._http_client(node.http_host, node.access)

    def _next_node(self) -> Target:
        node: Target | None = getattr(self.of_thread, "node", None)
        return node or next(self._nodes)

    def websocket_host(self) -> HttpClient:
        """Client for HTTP requests to the host of the WebSocket, such as an upgrade that the test writes itself."""
        target = self.target
        return self._http_client(HttpHost(target.host, target.port, target.tls), target.access)

    def _http_client(self, where: HttpHost, access: Access) -> HttpClient:
        client = HttpClient(
            where.host,
            where.port,
            tls=where.tls,
            trace=self._trace,
            patience=self.patience,
            access=access,
            interrupted=self._interrupted,
        )
        self.at_end(client.close)
        return client

    def link(
        self,
        path: str | None = None,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Link:
        """New connection for STOMP, over WebSocket by default to the path under test.

        `path`, `subprotocols` and `headers` are those of the upgrade; over TCP they mean nothing. Waits where the
        server has no room for now. Raises NotAdmitted, Crowded, Unreachable.
        """
        return self._admitted(new_link, path, subprotocols, headers)

    def websocket_link(
        self,
        path: str | None = None,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> WebSocketLink:
        """New WebSocket connection; otherwise as `link`."""
        return self._admitted(new_websocket, path, subprotocols, headers)

    def _admitted(
        self,
        new: Callable[..., L],
        path: str | None,
        subprotocols: Sequence[str],
        headers: Mapping[str, str] | None,
    ) -> L:
        node = self._next_node()

        def connect() -> L:
            return new(
                node,
                path,
                subprotocols,
                headers,
                trace=self._trace,
                patience=self.patience,
                interrupted=self._interrupted,
            )

        try:
            link = admitted_link(node.access.admission, connect)
        except NotAdmitted as refusal:
            if path is None and not subprotocols and not headers:
                refusal.promised_by(*UPGRADE_PROMISES)
            raise
        self.at_end(link.close)
        return link

    def stomp(
        self,
        path: str | None = None,
        *,
        version: str | None = None,
        connect: bool = True,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str | None] | None = None,
    ) -> StompClient:
        """New STOMP session in the version of the test; `connect=False` leaves CONNECT to the caller.

        `headers` are added to CONNECT or replace its defaults; None leaves a default out. Raises as `link` does, and
        PeerFailure if no CONNECTED comes.
        """
        client = StompClient(self.link(path, subprotocols), version or self.version)
        if connect:
            self.open_session(client, headers)
        return client

    def open_session(self, client: StompClient, headers: Mapping[str, str | None] | None = None) -> Frame:
        """CONNECT with the credentials and these headers. Raises NotAdmitted if a plain CONNECT gets no CONNECTED."""
        try:
            return client.connect({**self.credentials(), **(headers or {})})
        except PeerFailure as failure:
            if self.admission is not None:
                self.admission.note_unanswered(is_counted=True)
            if headers:
                raise
            refusal = NotAdmitted(failure.expected, failure.observed).promised_by(*CONNECT_PROMISES)
            raise refusal from failure

    def credentials(self) -> dict[str, str | None]:
        """Headers that CONNECT needs on this server: login, passcode, host, and those that the user gives."""
        return connect_headers(self.target)

    def outlast_outages(self) -> None:
        """Take a server that does not answer for a while as what the test is about, from now on."""
        self.outlasts_outages = True
        self.admission = None
        first, *others = [
            replace(node, access=replace(node.access, admission=None)) for node in self.target.nodes
        ]
        self.target = replace(first, others=tuple(others))
        self._nodes = itertools.cycle(self.target.nodes)

    @contextlib.contextmanager
    def at_node(self, node: Target) -> Iterator[None]:
        """Make the connections of this thread at one node."""
        self.of_thread.node = node
        try:
            yield
        finally:
            self.of_thread.node = None

    def at_end(self, call: Callable[[], object]) -> None:
        """Register a call for the end of the test, run last in first out; exceptions are ignored."""
        self._at_end.append(call)

    def registered(self) -> int:
        """Number of calls registered by `at_end`, for `close_since`."""
        return len(self._at_end)

    def close_since(self, mark: int) -> None:
        """Run the calls registered since `registered` returned `mark`; the test goes on."""
        while len(self._at_end) > mark:
            with contextlib.suppress(Exception, Crowded, RunEnded):
                self._at_end.pop()()
        self.of_thread = threading.local()

    def close(self) -> None:
        """End the test: run the calls registered by `at_end`, and drop the trace."""
        self.close_since(0)
        self._trace.clear()


def _admitting(target: Target, admission: Admission) -> Target:
    """Target whose connections count for one admission, at whatever node: the limits of all nodes are the same."""
    first, *others = [
        replace(node, access=replace(node.access, admission=admission)) for node in target.nodes
    ]
    return replace(first, others=tuple(others))
