"""Cases: stories with an anomaly, and stories that nearly have it.

For each anomaly there is a smallest history that has it, and one that nearly has it and is legal. If operations that
overlap, or have no reply, make a history legal, it has a case of its own.
"""

from typing import NamedTuple

from tests.history.language import told
from tests.history.story import Story


class Case(NamedTuple):
    """A story about an anomaly: with the anomaly, on `clause`, or without any, for `reason`."""

    anomaly: str
    steps: str
    clause: str = ""
    reason: str = ""

    def tell(self) -> Story:
        """The story, told anew."""
        return told(self.steps)

    def __str__(self) -> str:
        return f"{self.anomaly}: {self.reason or self.steps}"


def bad(anomaly: str, clause: str, steps: str) -> Case:
    """The story has the anomaly, which breaks the clause."""
    return Case(anomaly, steps, clause=clause)


def good(anomaly: str, reason: str, steps: str) -> Case:
    """The story nearly has the anomaly, and is legal for the reason."""
    return Case(anomaly, steps, reason=reason)
