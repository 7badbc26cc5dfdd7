"""Connections that are tried again where a server or a gateway takes no connection for now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from conformance.wire.admission import AWAY, TOO_MANY, UNAVAILABLE
from conformance.wire.failures import NotAdmitted, UpgradeRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.wire.admission import Admission
    from conformance.wire.link import Link

    L = TypeVar("L", bound=Link)


def admitted_link(admission: Admission | None, upgrade: Callable[[], L]) -> L:
    """Link that `upgrade` opens, at last.

    Tried again, as `Attempts` bounds it: 429, 503, the 502 and 504 of a gateway whose server is away, and, where a
    limit of connections is declared, a connection that is closed without an answer. Raises Crowded after the last
    attempt, and what `upgrade` raises.
    """
    if admission is None:
        return upgrade()
    attempts = admission.attempts()
    while True:
        began = time.monotonic()
        try:
            link = upgrade()
        except UpgradeRefused as refusal:
            if refusal.status not in {TOO_MANY, UNAVAILABLE, *AWAY}:
                raise
            if refusal.status in AWAY:
                admission.note_outage(began)
            attempts.refused(refusal.status, refusal.headers, str(refusal.observed))
        except NotAdmitted as refusal:
            if admission.most is None:
                raise
            attempts.refused(UNAVAILABLE, {}, str(refusal.observed))
        else:
            admission.admitted()
            return link
