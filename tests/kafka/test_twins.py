"""The suite catches broken twins of the server on a log, and leaves the server alone where they are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kafka.judged_twins import judged
from tests.kafka.twins import TWINS

if TYPE_CHECKING:
    from tests.kafka.cluster import Cluster


@pytest.mark.parametrize("name", ["ids-are-offsets", "a-commit-is-kept-in-the-node-only"])
def test_a_twin_is_caught(cluster: Cluster, name: str) -> None:
    """By one of the clauses that its fault breaks."""
    found = judged(TWINS[name], cluster)
    assert found.clause in TWINS[name].breaks, found.said


@pytest.mark.parametrize("name", ["offsets-are-not-fenced", "time-is-that-of-the-nodes"])
def test_the_server_itself_is_left_alone(cluster: Cluster, name: str) -> None:
    """Two nodes without the fault conform to the clauses that it breaks."""
    found = judged(TWINS[name], cluster, is_faulty=False)
    assert found.status == 0, found.said


def test_an_acknowledged_record_outlives_the_broker_that_is_killed() -> None:
    """A broker is stopped, killed and started again while producers publish, and the node loses nothing by it."""
    from tests.kafka.cluster import running, why_not

    if reason := why_not():
        pytest.skip(f"no Kafka: {reason}")
    with running() as cluster:
        found = judged(TWINS["a-record-is-acknowledged-before-kafka-has-it"], cluster, is_faulty=False)
    assert found.status == 0, found.said
