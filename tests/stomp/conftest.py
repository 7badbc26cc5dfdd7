"""Fixtures of the STOMP tests."""

import pytest

from tests.stomp.peers import Broker


@pytest.fixture
def broker() -> Broker:
    """A broker with default limits and without users."""
    return Broker()
