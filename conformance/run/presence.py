"""Presence of the server during a run: failures that an outage explains say nothing about any clause."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.run.admittance import connect_headers
from conformance.targets.links import new_link
from conformance.targets.target import PATIENCE
from conformance.wire.admission import AWAY, RETURN_SECONDS
from conformance.wire.cutting import cut_repr
from conformance.wire.failures import (
    NotAdmitted,
    PeerFailure,
    TooLong,
    Unreachable,
    UpgradeRefused,
    Violation,
)
from conformance.wire.http import HttpClient
from conformance.wire.link import Message
from conformance.wire.outages import Outages
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conformance.targets.target import Target
    from conformance.wire.trace import TraceEntry

_PAUSE_SECONDS = 0.25
#: Seconds without an octet of the server on any connection after which it is asked whether it is there.
QUIET_SECONDS = 1.0
#: Seconds that it may take to answer then, on a connection without delay.
PROMPT_SECONDS = 1.5
#: Octets shown of the last thing that a server was sent.
_SHOWN = 200


class Presence:
    """Checks whether the server still answers. Thread-safe."""

    def __init__(self, target: Target, judged: Collection[str]) -> None:
        """`judged` are the bindings of the run: a gateway may let the others not pass."""
        # Checks take no part in the run's count of connections, and wait for no place.
        self._target = replace(target, access=replace(target.access, admission=None))
        self._outages = target.access.admission.run.outages if target.access.admission else Outages()
        self._has_link = bool(set(judged) - {"queue-http"})
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._gone = ""
        self._sent = b""
        self._heard = time.monotonic()
        self._watch: threading.Thread | None = None

    def start(self) -> None:
        """Start to watch the server. May be called often."""
        with self._lock:
            if self._watch is None and not self._stopped.is_set():
                self._watch = threading.Thread(target=self._keep_watch, name="presence", daemon=True)
                self._watch.start()

    def note_received(self) -> None:
        """Note that the server has sent something on any connection."""
        self._heard = time.monotonic()

    def _keep_watch(self) -> None:
        """Ask a server that is quiet whether it is there: a test that fails later can't know any more."""
        while not self._stopped.wait(_PAUSE_SECONDS):
            asked = time.monotonic()
            if asked - self._heard < QUIET_SECONDS:
                continue
            if self._answers(PROMPT_SECONDS + self._target.patience - PATIENCE):
                self._heard = time.monotonic()
                self._outages.note_return()
            elif self._heard < asked:  # nothing came on another connection meanwhile either
                self._outages.note_outage(self._heard)

    def note_sent(self, octets: bytes) -> None:
        """Note what a test has sent, for the message of a run that ends."""
        self._sent = octets

    def last_sent(self, frames: Sequence[TraceEntry] = ()) -> str:
        """The newest thing in `frames`, or else in the whole run, that the server was sent; "" without one."""
        own = next((entry.octets for entry in reversed(frames) if entry.direction == ">"), self._sent)
        return f"; the last thing that it was sent: {cut_repr(own, _SHOWN)}" if own else ""

    def stop(self) -> None:
        """End all waits and the watch, since the run ends."""
        self._stopped.set()

    def outage_since(self, began: float, *, check: bool) -> str:
        """Reason why a test that began at `began` (monotonic seconds) shows nothing; "" if the server was there.

        With `check` the server is asked now, and waited for if it doesn't answer: RETURN_SECONDS at most. Raises
        Unreachable if it does not come back.
        """
        with self._lock:
            if self._gone:
                raise Unreachable(self._gone)
            if check and not self._answers():
                self._outages.note_outage(began)
                self._await_return()
        if self._outages.was_away_since(began):
            return "the server was away for a moment during its test"
        return ""

    def answers(self) -> bool:
        """True if the server answers an upgrade or CONNECT, or a request where it has neither."""
        with self._lock:
            return self._answers()

    def _await_return(self) -> None:
        deadline = time.monotonic() + RETURN_SECONDS
        while not self._answers():
            if time.monotonic() >= deadline or self._stopped.wait(_PAUSE_SECONDS):
                self._gone = f"it gave no answer for {RETURN_SECONDS:g} s"
                raise Unreachable(self._gone)
        self._outages.note_return()

    def _answers(self, patience: float | None = None) -> bool:
        try:
            if self._has_link:
                return self._answers_on_link(patience)
            where = self._target.http_host
            client = HttpClient(
                where.host,
                where.port,
                tls=where.tls,
                patience=self._target.patience,
                access=self._target.access,
            )
            try:
                return client.request("GET", "/capabilities", within=patience).status not in AWAY
            finally:
                client.close()
        except UpgradeRefused as refusal:
            return refusal.status not in AWAY
        except TooLong:
            return True  # a strange answer is one
        except (NotAdmitted, PeerFailure, Violation, Unreachable):
            return False

    def _answers_on_link(self, patience: float | None) -> bool:
        """True if the server accepts an upgrade, or answers CONNECT over TCP. Raises as `new_link` does."""
        target = self._target
        link = new_link(target, patience=patience)
        try:
            if not target.is_tcp:
                return True
            headers = {"accept-version": ",".join(target.stomp_versions), **connect_headers(target)}
            StompClient(link).frame("CONNECT", [(name, text) for name, text in headers.items() if text])
            return isinstance(link.receive(), Message)
        finally:
            link.close()
