"""Presence of the server during a run: failures that an outage explains say nothing about any clause."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.run.http_location import http_client
from conformance.wire.admission import AWAY, RETURN_SECONDS
from conformance.wire.failures import NotAdmitted, PeerFailure, Unreachable, UpgradeRefused, Violation
from conformance.wire.websocket import WebSocketLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.targets.target import Target
    from conformance.wire.trace import TraceEntry

_PAUSE_SECONDS = 0.25
#: Octets shown of the last thing that a server was sent.
_SHOWN = 200


class Presence:
    """Checks whether the server still answers. Thread-safe."""

    def __init__(self, target: Target) -> None:
        # Checks take no part in the run's count of connections, and wait for no place.
        self._target = replace(target, access=replace(target.access, admission=None))
        self._admission = target.access.admission
        self._has_websocket = bool(target.classes - {"queue-http"})
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._gone = ""

    def stop(self) -> None:
        """End all waits, since the run ends."""
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
                if self._admission is not None:
                    self._admission.note_outage(began)
                self._await_return()
        if self._admission is not None and self._admission.was_away_since(began):
            return "the server was away for a moment during its test"
        return ""

    def answers(self) -> bool:
        """True if the server answers an upgrade, or a request where it has no WebSocket."""
        with self._lock:
            return self._answers()

    def _await_return(self) -> None:
        deadline = time.monotonic() + RETURN_SECONDS
        while not self._answers():
            if time.monotonic() >= deadline or self._stopped.wait(_PAUSE_SECONDS):
                self._gone = f"it gave no answer for {RETURN_SECONDS:g} s"
                raise Unreachable(self._gone)
        if self._admission is not None:
            self._admission.note_return()

    def _answers(self) -> bool:
        try:
            if self._has_websocket:
                target = self._target
                url = target.websocket_url()
                WebSocketLink(url, patience=target.patience, tls=target.tls, access=target.access).close()
                return True
            client = http_client(self._target)
            try:
                return client.request("GET", "/capabilities").status not in AWAY
            finally:
                client.close()
        except UpgradeRefused as refusal:
            return refusal.status not in AWAY
        except (NotAdmitted, PeerFailure, Violation, Unreachable):
            return False


def last_sent(frames: Sequence[TraceEntry]) -> str:
    """The newest thing that the server was sent, for the message of a run that ends; "" without one."""
    entry = next((entry for entry in reversed(frames) if entry.direction == ">"), None)
    if entry is None:
        return ""
    return f"; the last thing that it was sent: {entry.octets[:_SHOWN]!r}"
