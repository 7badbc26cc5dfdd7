"""Every broken queue is caught by the machine that is for it, on the clause that it breaks."""

import pytest
from hypothesis import HealthCheck, settings

from conformance.models.judging import Ledger
from conformance.models.machines import run
from conformance.models.rule_coverage import COVERAGE_BY_MACHINE
from conformance.wire.failures import Violation
from tests.models.broken import FAULTS
from tests.models.machines import MACHINES
from tests.models.toy_queue import Choices

#: A fault must show within so many examples of so many rules each.
EXAMPLES, RULES = 300, 30
#: The rules that were run until the fault showed, at most. Most show within a hundred.
MOST_STEPS = 5_000
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=RULES,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class StrictLedger(Ledger):
    """A judge to whom a failed SHOULD is a failure like any other."""

    def __call__(self, clause: str, ok: bool, /, *, expected: str, observed: object) -> bool:
        """Raises `Violation` where the clause fails."""
        if not ok:
            raise Violation(clause, expected, observed)
        return super().__call__(clause, ok, expected=expected, observed=observed)


def detect(name: str, seed: int) -> tuple[str, int]:
    """The clause on which a fault is caught, and after how many rules; no clause: it is not caught."""
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
    """The machine finds the fault in time, and names the clause or what the fault looks like first."""
    caught, steps = detect(name, seed=1)
    assert caught in FAULTS[name].clauses
    assert steps <= MOST_STEPS


def test_a_failure_is_shown_as_a_short_program() -> None:
    """What remains after shrinking are the steps that matter, in their order, with the failure at the end."""
    system = FAULTS["HandsOutTheNextBeforeTheAcknowledgement"].make_adapter(Choices(seed=1))
    program: list[str] = []
    with pytest.raises(Violation, match="ORDER-2") as caught:
        run(MACHINES["delivery"], system, SETTINGS, seed=1, note=program.append, shrink_seconds=5.0)
    assert caught.value.clause == "ORDER-2"
    assert 10 < len(program) < 60
    assert program[-1].startswith("/consumer/poll")
