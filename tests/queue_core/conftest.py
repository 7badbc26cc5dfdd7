"""Fixtures of the tests of the queue."""

import pytest

from tests.queue_core.core import Core


@pytest.fixture
def core() -> Core:
    """An empty queue with default settings."""
    return Core()
