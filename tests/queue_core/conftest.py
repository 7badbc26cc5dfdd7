"""Fixtures of the tests of the queue."""

import pytest

from tests.queue_core.core import Core


@pytest.fixture
def core() -> Core:
    """Return an empty queue with default settings."""
    return Core()
