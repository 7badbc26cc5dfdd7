"""Queues in memory with one fault each: the models must find every one of them."""

from tests.models.broken import acknowledgements, delivery, membership, publishing, statuses
from tests.models.broken.registry import FAULTS, QueueFault

__all__ = ["FAULTS", "QueueFault", "acknowledgements", "delivery", "membership", "publishing", "statuses"]
