"""A sample of the fuzzing; `python -m tests.stomp.fuzz` runs more."""

import pytest

from reference_server.stomp.session import Session
from tests.stomp import fuzz


def test_random_streams() -> None:
    """Whatever octets come, a session raises nothing, stays within its bounds and sends readable frames."""
    fuzz.run(4_000, seed=0)


def test_the_fuzzer_finds_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that leaks an exception is found."""
    monkeypatch.setattr(Session, "grant", lambda self, receipt: receipt[7])
    with pytest.raises(AssertionError, match="to repeat: --seed"):
        fuzz.run(4_000, seed=0)
