"""Broken queues, and the anomaly that each shows in a history.

Most faults are those that also prove the models (`tests.models.broken`). The modules here add faults that need
producer acknowledgements, races or several groups.
"""

from tests.history.broken.table import BLIND, SHOWN_BY, broken_history

__all__ = ["BLIND", "SHOWN_BY", "broken_history"]
