"""Fixtures of the STOMP tests."""

import pytest

from tests.stomp.peers import Broker


@pytest.fixture
def broker() -> Broker:
    """Return a broker with default limits, where anybody may connect."""
    return Broker()
