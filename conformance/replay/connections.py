"""Connections of a replay: they repeat recorded events, and split what comes back into answers."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.replay.hiding import masked
from conformance.replay.script import longest_gap
from conformance.replay.streams import Stream
from conformance.targets.address import HttpHost
from conformance.targets.links import new_link
from conformance.wire.connection import Connection
from conformance.wire.failures import PeerFailure, Violation
from conformance.wire.tcp import TcpLink
from conformance.wire.trace import Trace
from conformance.wire.websocket import WebSocketLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.replay.answers import Answer
    from conformance.replay.record import FailureRecord
    from conformance.replay.substitution import Substitution
    from conformance.targets.target import Target
    from conformance.wire.link import Link
    from conformance.wire.trace import Event

_SLICE_SECONDS = 0.05
_READ_OCTETS = 64 << 10
#: Seconds between the pieces of a stream that was cut.
_APART_SECONDS = 0.002


class Connections:
    """The connections of one replay, by their recorded names."""

    def __init__(
        self, target: Target, record: FailureRecord, substitution: Substitution, token: str, patience: float
    ) -> None:
        self._target = target
        self._recorded_path = record.path or urlsplit(record.url).path or "/"
        self._recorded_http = record.http
        self._substitution = substitution
        self._patience = patience
        self._traces: dict[str, Trace] = {}
        self._http: dict[str, Connection] = {}
        self._links: dict[str, Link] = {}
        self.streams: defaultdict[str, Stream] = defaultdict(lambda: Stream(token))

    def repeat(self, event: Event) -> None:
        """Open, send or close as recorded. Raises Unreachable, UnknownId, PeerFailure if the server doesn't read."""
        name = event.connection
        if event.what == "open" and event.kind == "http":
            self._open_http(name, event.facts.get("host", ""))
        elif event.what == "open":
            self._open_link(name, event.facts)
        elif event.what == "close":
            self._close(name, event.facts.get("how", "close"))
        elif event.kind == "http":
            if name not in self._http:
                self._open_http(name)
            self.streams[name].sent(event)
            connection = self._http[name]
            connection.begin()
            with contextlib.suppress(ConnectionError):
                connection.sendall(self._substitution.request(event.octets))
        elif name in self._links:
            self._send(self._links[name], event)

    def wait(self, name: str, until: float, octets: int = 0) -> Answer | None:
        """Next answer on a connection; None if none has come by `until` (monotonic seconds).

        With `octets`, so many octets of an incomplete answer make one, too.
        """
        stream = self.streams[name]
        while not stream.answers:
            if stream.has_part(octets):
                stream.flush()
            elif not self._read(name, until):
                stream.flush()
                break
        return stream.answers.popleft() if stream.answers else None

    def hear(self, name: str, until: float, *, beats: bool) -> Answer | None:
        """As `wait`, but with `beats` a heart-beat ends the wait, too."""
        stream = self.streams[name]
        while not stream.answers and not (beats and stream.beats):
            if not self._read(name, until):
                break
        return stream.answers.popleft() if stream.answers else None

    def listen(self, name: str, until: float) -> tuple[Answer | None, float]:
        """Listen until an answer comes; returns it, and the longest time without octets, in seconds."""
        stream = self.streams[name]
        while not stream.answers and self._read(name, until):
            pass
        longest = longest_gap(stream.arrivals, self._traces[name].now())
        return (stream.answers.popleft() if stream.answers else None), longest

    def has_ended(self, name: str) -> bool:
        """True if the server has ended a WebSocket or TCP connection; what it has sent before is kept."""
        link = self._links.get(name)
        if link is None:
            return False
        until = time.monotonic() + _SLICE_SECONDS
        while time.monotonic() < until and self._read(name, until):
            pass
        return link.closed is not None

    def pause(self, until: float) -> None:
        """Let time pass; pings are answered meanwhile."""
        while (left := until - time.monotonic()) > 0:
            open_ones = [name for name, link in self._links.items() if link.closed is None]
            if not open_ones:
                threading.Event().wait(left)
            for name in open_ones:
                self._read(name, min(until, time.monotonic() + _SLICE_SECONDS))

    def close(self) -> None:
        """Close all connections."""
        for link in self._links.values():
            with contextlib.suppress(Exception):
                link.close()
        for connection in self._http.values():
            connection.close()

    def _open_http(self, name: str, host: str = "") -> None:
        trace = self._traces[name] = Trace()
        target = self._target
        # A test may send HTTP to the host of the WebSocket, too.
        is_elsewhere = bool(self._recorded_http) and host not in ("", self._recorded_http)
        where = HttpHost(target.host, target.port, target.tls) if is_elsewhere else target.http_host
        self._http[name] = Connection(
            where.host,
            where.port,
            tls=where.tls,
            patience=self._patience,
            tap=lambda direction, octets: trace.record(name, direction, "http", octets),
            note=trace.noting(name),
        )

    def _open_link(self, name: str, facts: Mapping[str, object]) -> None:
        trace = self._traces[name] = Trace()
        path = f"/{facts.get('path', '')}"
        here = self._target.path if path == self._recorded_path else self._substitution.text(path)
        headers = facts.get("headers")
        given = headers if isinstance(headers, dict) else {}
        try:
            self._links[name] = new_link(
                self._target,
                here,
                headers={header: self._substitution.text(str(value)) for header, value in given.items()},
                trace=trace,
                patience=self._patience,
            )
        except PeerFailure:
            pass  # noted in the trace
        finally:
            self._pull(name)

    def _send(self, link: Link, event: Event) -> None:
        facts = event.facts
        octets = self._substitution.message(event.octets)
        if isinstance(link, TcpLink):
            places = [0, *(min(cut, len(octets)) for cut in facts.get("cuts", ())), len(octets)]
            pieces = [octets[begin:end] for begin, end in itertools.pairwise(places)]
            link.send_pieces(pieces, lambda: link.receive(time.monotonic() + _APART_SECONDS))
            return
        assert isinstance(link, WebSocketLink)
        if "cuts" in facts:
            link.send_in_pieces(octets, facts["cuts"], binary=bool(facts.get("binary")))
        elif "opcode" in facts:
            link.send_frame(octets, facts["opcode"], fin=facts.get("fin", True), mask=facts.get("mask", True))
        else:
            link.send_raw(self._substitution.raw(event.octets), whole=facts.get("whole", True))

    def _close(self, name: str, how: str) -> None:
        if name in self._links:
            link = self._links[name]
            {"reset": link.cut, "stop": link.end_sending}.get(how, link.drop)()
        elif name in self._http:
            connection = self._http[name]
            {"stop": connection.stop_sending, "reset": connection.reset}.get(how, connection.close)()

    def _read(self, name: str, until: float) -> bool:
        """Read something; False at `until`, and if the connection is over."""
        if name in self._links:
            link = self._links[name]
            if link.closed is not None:
                return False
            with contextlib.suppress(PeerFailure, Violation):
                link.receive(until)
        elif name in self._http:
            connection = self._http[name]
            connection.begin(until)
            with contextlib.suppress(OSError):
                connection.recv(_READ_OCTETS)
        else:
            return False
        return self._pull(name)

    def _pull(self, name: str) -> bool:
        """Give the new events of a connection to its stream; False if there are none, or it is over."""
        trace, stream = self._traces[name], self.streams[name]
        came = [
            event
            for event in trace.recording().events
            if event.what in ("receive", "end", "upgraded") and event.connection
        ]
        trace.clear()
        for event in came:
            stream.feed(masked(event, self._target.secrets))
        return bool(came)
