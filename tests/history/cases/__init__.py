"""The tables of stories about anomalies, by subject; `tests.history.language` is the language of the stories."""

from tests.history.cases import duplicates, liveness, loss, order, ownership, producers, settlement
from tests.history.cases.base import Case

CASES = (
    *liveness.CASES,
    *loss.CASES,
    *order.CASES,
    *ownership.CASES,
    *producers.CASES,
    *duplicates.CASES,
    *settlement.CASES,
)
BAD = tuple(case for case in CASES if case.clause)
GOOD = tuple(case for case in CASES if not case.clause)

__all__ = ["BAD", "GOOD", "Case"]
