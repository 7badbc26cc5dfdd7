"""The machines accept conforming queues, and cover their rules and states."""

import pytest
from hypothesis import HealthCheck, settings

from conformance.models.machines import ModelMachine, counted_rule, run
from conformance.models.rule_coverage import RuleCoverage
from reference_server.queue.settings import QueueSettings
from tests.models.choices import some_adapter
from tests.models.core_adapter import BARE, EXTENSIONS, CoreQueueAdapter
from tests.models.machines import MACHINES
from tests.models.toy_adapters import ToyQueueAdapter
from tests.models.toy_queue import Choices

#: Least share of the pairs (rule, class of state) that a machine reaches in the examples of one test here.
LEAST_COVERAGE = 0.85


def examples(count: int) -> settings:
    """Settings for `count` examples of at most 30 rules."""
    return settings(
        max_examples=count,
        stateful_step_count=30,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_wrong_with_odd_choices(machine: str, seed: int) -> None:
    """No clause fails on a queue with any legal choices and any delays."""
    system = some_adapter(seed)
    coverage = run(MACHINES[machine], system, examples(12), name=f"odd {machine} {seed}", seed=seed)
    assert coverage.steps() > 50
    allowed = {"POLL-EMPTY-2"} if system.queue.choices.empty_status != 204 else set()
    if system.queue.choices.refused_status:
        allowed |= {
            clause for clause, expected, _ in system.judge.deviations if expected.startswith("status 4")
        }
    assert {clause for clause, _, _ in system.judge.deviations} <= allowed


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("extensions", [EXTENSIONS, BARE], ids=["declared", "bare"])
def test_nothing_is_wrong_with_the_core_of_the_reference_server(
    machine: str, extensions: frozenset[str]
) -> None:
    """The pure core passes every machine, with its extensions and without."""
    system = CoreQueueAdapter(QueueSettings(partitions=3), extensions=extensions)
    run(MACHINES[machine], system, examples(40), name=f"core {machine} {len(extensions)}", seed=7)
    assert system.judge.deviations == []
    assert len(system.judge.asserted) > 25


@pytest.mark.parametrize("machine", MACHINES)
def test_the_rules_reach_the_states(machine: str) -> None:
    """Most rules do something in most of their possible classes of state."""
    coverage = run(
        MACHINES[machine], ToyQueueAdapter(Choices(seed=3)), examples(100), name=f"reach {machine}", seed=11
    )
    assert coverage.share() >= LEAST_COVERAGE, coverage.missed()
    assert {rule for rule, _ in coverage.counts} == coverage.rules


def test_what_is_not_reached_is_told() -> None:
    """The share counts possible pairs only, and missed pairs are listed."""
    coverage = RuleCoverage("some", {"join", "leave"}, ("empty", "full"), frozenset({("leave", "empty")}))
    coverage.record("join", "empty")
    coverage.record("join", "empty")
    assert coverage.missed() == [("join", "full"), ("leave", "full")]
    assert coverage.share() == pytest.approx(1 / 3)
    assert coverage.steps() == 2
    assert coverage.table() == [
        ("join", {"empty": 2, "full": 0}),
        ("leave", {"empty": 0, "full": 0}),
    ]


def test_a_rule_that_cannot_be_used_here_is_not_counted() -> None:
    """A rule of an extension that the server lacks is neither counted nor missed."""
    bare = run(
        MACHINES["delivery"], ToyQueueAdapter(Choices(), bare=True), examples(3), name="no nack", seed=1
    )
    assert "give_back" not in bare.rules
    assert "poll" in bare.rules


def test_a_run_in_which_nothing_happens_is_an_error() -> None:
    """A machine whose rules do nothing raises RuntimeError."""

    class Idle(ModelMachine):
        """Its only rule performs no operation."""

        STATES = ("idle",)

        def state(self) -> str:
            return "idle"

        @counted_rule()
        def rest(self) -> None:
            """Nothing."""

    with pytest.raises(RuntimeError, match="no rule did anything"):
        run(Idle, ToyQueueAdapter(Choices()), examples(5), name="idle", seed=0)
