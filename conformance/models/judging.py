"""Interface by which models report assertions, passed and failed.

`bench.judge` of the suite is a `Judge`; `Ledger` is the judge of tests without a suite.
"""

from collections import Counter
from typing import Protocol

from conformance.wire.failures import Violation

#: SHOULD clauses that the models judge; a failure is a deviation and the run goes on.
RECOMMENDED = frozenset(
    {
        "ACK-CONSUMER-2",
        "ACK-UNKNOWN-2",
        "GROUP-REMOVE-5",
        "LIVE-BEAT-3",
        "LIVE-GONE-2",
        "MEMBER-REGISTER-3",
        "MEMBER-REGISTER-5",
        "MEMBER-SUBSCRIBE-3",
        "MEMBER-UNREGISTER-3",
        "MEMBER-UNSUBSCRIBE-3",
        "NACK-UNKNOWN-2",
        "POLL-EMPTY-2",
        "POLL-REDELIVERED-1",
        "POLL-UNKNOWN-2",
        "PUB-TOPIC-2",
        "TOPIC-ADD-3",
        "TOPIC-REMOVE-4",
        "TOPIC-REMOVE-8",
    }
)


class Judge(Protocol):
    """Takes one assertion about a clause. Raises `Violation` if a MUST fails; returns False if a SHOULD fails."""

    def __call__(self, clause: str, ok: bool, /, *, expected: str, observed: object) -> bool: ...


class Ledger:
    """Judge that counts assertions, collects failed SHOULDs, and raises on the first failed MUST."""

    def __init__(self) -> None:
        self.asserted: Counter[str] = Counter()
        self.deviations: list[tuple[str, str, object]] = []

    def __call__(self, clause: str, ok: bool, /, *, expected: str, observed: object) -> bool:
        """Count the assertion. Returns False if a SHOULD fails; raises `Violation` if a MUST fails."""
        self.asserted[clause] += 1
        if ok:
            return True
        if clause in RECOMMENDED:
            self.deviations.append((clause, expected, observed))
            return False
        raise Violation(clause, expected, observed)
