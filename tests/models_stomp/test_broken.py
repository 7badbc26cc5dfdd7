"""The model finds every broken broker, on the clause that it breaks."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from conformance.models.machines import run
from conformance.models.stomp.machine import StompMachine
from conformance.specification.clauses import Level, book
from conformance.wire.failures import Violation
from tests.models_stomp.broken_brokers import FAULTS, BrokerFault
from tests.models_stomp.toy_adapter import ToyBrokerAdapter
from tests.models_stomp.toy_state import BrokerChoices

SETTINGS = settings(
    max_examples=150,
    stateful_step_count=30,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
CASES = [
    (fault, fault.versions[number % len(fault.versions)]) for number, fault in enumerate(FAULTS.values())
]


@pytest.mark.parametrize(
    ("fault", "version"), CASES, ids=[f"{fault.broker.__name__}-{version}" for fault, version in CASES]
)
def test_the_fault_is_found(fault: BrokerFault, version: str) -> None:
    system: Any = ToyBrokerAdapter.of(BrokerChoices(), version, fault.broker)
    caught: set[str] = set()
    try:
        run(StompMachine, system, SETTINGS, shrink_seconds=0.1, note=print)
    except Violation as violation:
        caught = {violation.clause}
        print(violation)
    caught |= {clause for clause in system.judge.deviations if book()[clause].level is Level.SHOULD}
    assert caught & fault.clauses, f"caught {caught or 'nothing'}"
