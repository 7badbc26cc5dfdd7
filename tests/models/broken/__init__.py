"""Queues in memory with one fault each, all of which the models must find."""

from tests.models.broken import acknowledgements, delivery, membership, publishing, retention, statuses
from tests.models.broken.registry import FAULTS, QueueFault

__all__ = [
    "FAULTS",
    "QueueFault",
    "acknowledgements",
    "delivery",
    "membership",
    "publishing",
    "retention",
    "statuses",
]
