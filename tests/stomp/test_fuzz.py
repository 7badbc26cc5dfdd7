"""A sample of the fuzzing; `python -m tests.stomp.fuzz` runs more."""

import pytest

from reference_server.stomp.session import Session
from tests.stomp import fuzz


def test_random_streams() -> None:
    """A session raises nothing, keeps its bounds and sends readable frames, for any input."""
    fuzz.run(4_000, seed=0)


def test_the_fuzzer_finds_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer finds a session that leaks an exception."""
    monkeypatch.setattr(Session, "grant", lambda self, receipt: receipt[7])
    with pytest.raises(AssertionError, match="to repeat: --seed"):
        fuzz.run(4_000, seed=0)
