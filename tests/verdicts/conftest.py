"""A recorder for the tests."""

import pytest

from conformance.verdicts.recorder import Recorder
from tests.verdicts.recording import HTTP, recorder_of


@pytest.fixture
def recorder() -> Recorder:
    return recorder_of(HTTP, "stomp-1.2")
