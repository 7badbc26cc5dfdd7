"""Connections that are tried again where a server or a gateway takes no connection for now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from conformance.wire.admission import AWAY, SHORTEST_PAUSE, TOO_MANY, UNAVAILABLE
from conformance.wire.failures import NotAdmitted, UpgradeRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.wire.admission import Admission
    from conformance.wire.link import Link

    L = TypeVar("L", bound=Link)

#: Attempts at a connection that the server closes without an answer.
UNANSWERED_ATTEMPTS = 3


def admitted_link(admission: Admission | None, upgrade: Callable[[], L]) -> L:
    """Link that `upgrade` opens, at last.

    Tried again, as `Attempts` bounds it: 429, 503, the 502 and 504 of a gateway whose server is away. While the run has
    other connections open, a connection that is closed without an answer is tried again UNANSWERED_ATTEMPTS times: the
    server may not have seen yet that an earlier one has ended. Raises Crowded after the last attempt, and what
    `upgrade` raises.
    """
    if admission is None:
        return upgrade()
    attempts, unanswered = admission.attempts(), 0
    while True:
        began = time.monotonic()
        try:
            link = upgrade()
        except UpgradeRefused as refusal:
            if refusal.status not in {TOO_MANY, UNAVAILABLE, *AWAY}:
                raise
            if refusal.status in AWAY:
                admission.run.outages.note_outage(began)
            attempts.refused(refusal.status, refusal.headers, str(refusal.observed))
        except NotAdmitted:
            unanswered += 1
            if not admission.note_unanswered() or unanswered == UNANSWERED_ATTEMPTS:
                raise
            admission.pause(SHORTEST_PAUSE * 2**unanswered)
        else:
            admission.admitted()
            return link
