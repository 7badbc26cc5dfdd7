"""Queues that break what only clients at the same time, or a long history, show; and the anomaly that each shows.

Most faults are those that also prove the models (`tests.models.broken`); here are the ones that only producers'
acknowledgements, races or several groups bring out.
"""

from tests.history.broken.table import BLIND, SHOWN_BY, broken_history

__all__ = ["BLIND", "SHOWN_BY", "broken_history"]
