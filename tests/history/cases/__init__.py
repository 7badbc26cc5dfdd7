"""The stories about anomalies, by subject."""

from tests.history.cases import liveness, loss, order, ownership, producers, repetition, settlement
from tests.history.cases.base import BAD, GOOD, Case

__all__ = [
    "BAD",
    "GOOD",
    "Case",
    "liveness",
    "loss",
    "order",
    "ownership",
    "producers",
    "repetition",
    "settlement",
]
