"""Every broken queue is found by its machine, on the clause that it breaks."""

import pytest
from hypothesis import HealthCheck, settings

from conformance.models.judging import Ledger
from conformance.models.machines import run
from conformance.models.rule_coverage import COVERAGE_BY_MACHINE
from conformance.wire.failures import Violation
from tests.models.broken import FAULTS
from tests.models.machines import MACHINES
from tests.models.toy_queue import Choices

#: A fault must show within this many examples of this many rules each.
EXAMPLES, RULES = 300, 30
#: Bound on the rules run until the fault shows; most show within a hundred.
MOST_STEPS = 5_000
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=RULES,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class StrictLedger(Ledger):
    """Judge that treats a failed SHOULD as a failed MUST."""

    def __call__(self, clause: str, ok: bool, /, *, expected: str, observed: object) -> bool:
        """Count the assertion. Raises `Violation` if it fails."""
        if not ok:
            raise Violation(clause, expected, observed)
        return super().__call__(clause, ok, expected=expected, observed=observed)


def detect(name: str, seed: int) -> tuple[str, int]:
    """Return the clause on which a fault is found ("" if it is not) and the number of rules run until then."""
    fault = FAULTS[name]
    system = fault.make_adapter(Choices(seed=seed))
    system.judge = StrictLedger()
    key, caught = f"fault {name}", ""
    COVERAGE_BY_MACHINE.pop(key, None)
    try:
        run(MACHINES[fault.machine], system, SETTINGS, name=key, seed=seed, shrink_seconds=0.0)
    except Violation as violation:
        caught = violation.clause
    return caught, COVERAGE_BY_MACHINE.pop(key).steps()


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_queue_is_caught_on_its_clause(name: str) -> None:
    """The machine finds the fault in time, and names one of the clauses registered with it."""
    caught, steps = detect(name, seed=1)
    assert caught in FAULTS[name].clauses
    assert steps <= MOST_STEPS


def test_a_failure_is_shown_as_a_short_program() -> None:
    """Shrinking keeps the steps that matter, in their order, with the failure at the end."""
    system = FAULTS["HandsOutTheNextBeforeTheAcknowledgement"].make_adapter(Choices(seed=1))
    program: list[str] = []
    with pytest.raises(Violation, match="ORDER-2") as caught:
        run(MACHINES["delivery"], system, SETTINGS, seed=1, note=program.append, shrink_seconds=5.0)
    assert caught.value.clause == "ORDER-2"
    assert 5 < len(program) < 20
    assert program[-1].startswith("/consumer/poll")
