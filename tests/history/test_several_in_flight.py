"""Engines that hand out several records of a partition at once: one anomaly, from which no other one follows."""

from __future__ import annotations

import pytest

from conformance.history.checkers import judge_history
from tests.history.cases.base import bad


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            "ann settles; send a@0.0 b@0.1; gets a; gets b; wait 40; gets a", id="first record again"
        ),
        pytest.param(
            "ann settles; send a@0.0 b@0.1; gets a; wait 40; acks a -> 409; gets b; reads a b",
            id="a refusal without effect",
        ),
    ],
)
def test_only_the_records_in_flight_are_named(steps: str) -> None:
    """A record in flight that comes again is in order, and a refused acknowledgement of it has committed nothing."""
    story = bad("more than one in flight", "ORDER-2", steps).tell()
    found = {anomaly.name for anomaly in judge_history(story.history, story.parameters)}
    assert not found & {"nonmonotonic poll", "committed though refused", "committed by a zombie"}
    assert found
