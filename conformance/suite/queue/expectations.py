"""Expected statuses and refusals, each recorded as an assertion of a clause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Recommended status for a record that a full partition refuses (PUB-FULL-2); no other refusal is outside of 4xx.
NO_ROOM = 507
#: Lowest status of a refusal.
REFUSALS = 400


class HasStatus(Protocol):
    """A reply with a status: a `Reply` in either binding, or an `HttpReply`."""

    @property
    def status(self) -> int:
        """The status, an integer of three digits."""
        ...


def refused(reply: HasStatus) -> bool:
    """True if the status is of the class 4xx, as that of every refusal is."""
    return 400 <= reply.status < 500


def publish_refused(reply: HasStatus) -> bool:
    """True if the record was not stored: 4xx, or 507 if the partition is full."""
    return refused(reply) or reply.status == NO_ROOM


def expect_status(bench: Bench, reply: HasStatus, status: int, clause: str, because: str) -> bool:
    """Judge `clause` by exactly this status; `because` says why the server has to answer so.

    The number of a refusal is not judged where a producer acknowledgement, FAILED, is the answer. Returns True if the
    clause holds. Raises Violation if it doesn't and is a MUST.
    """
    if getattr(reply, "is_acknowledgement", False) and status >= REFUSALS:
        return refused(reply)
    return bench.judge(clause, reply.status == status, expected=f"{status}: {because}", observed=reply)


def expect_refusal(bench: Bench, reply: HasStatus | None, clause: str, because: str) -> bool:
    """Judge `clause` by a status of the class 4xx; `because` is the cause of the refusal.

    A missing reply, None, is no refusal. Returns True if the clause holds. Raises Violation if it doesn't and is a
    MUST.
    """
    ok = reply is not None and refused(reply)
    return bench.judge(
        clause, ok, expected=f"4xx: {because}", observed="no reply" if reply is None else reply
    )


def expect_publish_refusal(bench: Bench, reply: HasStatus, clause: str, because: str) -> bool:
    """Judge `clause` by a status that says that the record was not stored: 4xx, or 507 if the partition is full.

    Returns True if the clause holds. Raises Violation if it doesn't and is a MUST.
    """
    return bench.judge(
        clause, publish_refused(reply), expected=f"4xx or {NO_ROOM}: {because}", observed=reply
    )
