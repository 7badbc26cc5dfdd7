"""Time limit of a run: a server that has become slow or silent must not hold it up without end.

When the limit has passed, the run ends early and says how the server's round trip has changed since the first contact.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.run.admittance import connect_headers
from conformance.run.first_contact import CAPABILITIES
from conformance.run.options import Effort
from conformance.targets.links import new_link
from conformance.wire.failures import PeerFailure, RunEnded, Unreachable, Violation
from conformance.wire.http import HttpClient
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.run.run import Run
    from conformance.targets.target import Target

#: Seconds for a run, besides its waits for real time, on a server that answers at once.
SECONDS = {Effort.QUICK: 140.0, Effort.STANDARD: 900.0, Effort.THOROUGH: 6 * 3600.0}
#: Seconds for each fault in each binding, besides.
FAULT_SECONDS = {Effort.QUICK: 60.0, Effort.STANDARD: 120.0, Effort.THOROUGH: 600.0}
#: Round trips of the first contact that a run may take in addition: more than all tests have, one after another.
ROUND_TRIPS = {Effort.QUICK: 20_000, Effort.STANDARD: 100_000, Effort.THOROUGH: 1_000_000}
#: Limit of connections at which a run may take twice as many SECONDS, since its tests seldom overlap.
FEW = 1
#: Round trips below this are as good as none, in seconds.
_AT_ONCE = 0.002
#: Longest wait for the reply that shows the server's state at the limit, in seconds.
_LAST_LOOK = 5.0


def limit_seconds(run: Run, overlapping: Sequence[float], others: float) -> float:
    """Seconds that a run may take whose tests wait for real time; 0.0 for any time.

    `overlapping` are the waits in seconds that all overlap, unless a declared limit of connections lets only some tests
    run at once; `others` is the sum of all other waits.
    """
    if run.options.time_limit is not None:
        return run.options.time_limit
    effort = run.options.effort
    away = max(0.0, run.target.round_trip - _AT_ONCE)
    admission = run.target.access.admission
    at_once = admission.run.places.waits_at_once if admission else None
    waits = max(overlapping, default=0.0) + (sum(overlapping) / at_once if at_once else 0.0) + others
    waits += FAULT_SECONDS[effort] * len(run.options.faults) * len({key.binding for key in run.selected})
    return SECONDS[effort] * (1 + FEW / at_once if at_once else 1) + waits + ROUND_TRIPS[effort] * away


class TimeLimit:
    """Thread that ends a run early when its time limit has passed."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> None:
        """Start to count; 0.0 never ends the run."""
        if seconds > 0:
            self._thread = threading.Thread(
                target=self._watch, args=(seconds,), name="time-limit", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop counting."""
        self._over.set()

    def _watch(self, seconds: float) -> None:
        if self._over.wait(seconds):
            return
        run = self._run
        pace = _pace(run.target)
        if not self._over.is_set():
            run.end_early(
                f"not over within {seconds:.0f} s (--time-limit SECONDS changes that, 0 waits for ever); {pace}"
            )


def _pace(target: Target) -> str:
    """Sentence on the server's round trip now and at the first contact."""
    before = f"{1000 * target.round_trip:.3g} ms at the first contact"
    target = replace(target, access=replace(target.access, admission=None))
    asked, ask = (f"GET {CAPABILITIES}", _ask_http) if target.has_http else ("CONNECT", _ask_stomp)
    began = time.monotonic()
    try:
        ask(target)
    except Unreachable as error:
        return f"{error}"
    except (PeerFailure, Violation, RunEnded):
        return f"{asked} gets no whole reply within {_LAST_LOOK:g} s, it took {before}"
    return f"{asked} takes {1000 * (time.monotonic() - began):.3g} ms now, it took {before}"


def _ask_http(target: Target) -> None:
    where = target.http_host
    client = HttpClient(where.host, where.port, tls=where.tls, patience=_LAST_LOOK, access=target.access)
    try:
        client.request("GET", CAPABILITIES, within=_LAST_LOOK)
    finally:
        client.close()


def _ask_stomp(target: Target) -> None:
    client = StompClient(new_link(target, patience=_LAST_LOOK))
    try:
        client.connect(connect_headers(target))
    finally:
        client.close()
