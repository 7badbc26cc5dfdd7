"""What the Hypothesis state machines share: a driver, the count of what they reach, and readable failures.

A machine's rules perform operations through the driver, whose model judges every reply; a rule asserts
nothing itself. `run` runs a machine and raises what failed first, in the shortest program found.
"""

import functools
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hypothesis import seed as choose_programs
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from conformance.models.driver import QueueDriver
from conformance.models.minimizer import Minimizer, StopExamples
from conformance.models.rule_coverage import COVERAGE_BY_MACHINE, RuleCoverage
from conformance.run.group_clock import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from conformance.models.queue_under_test import QueueUnderTest

    Method = Callable[..., None]


#: The moves of all machines by qualified name, and in which worlds each can be made.
_MOVES: "dict[str, Callable[[QueueUnderTest], bool]]" = {}


def time_is_virtual(system: "QueueUnderTest") -> bool:
    """Whether time can be made to pass there."""
    return system.time_is_virtual


def declares(extension: str) -> "Callable[[QueueUnderTest], bool]":
    """Whether the server there declares the extension."""
    return lambda system: extension in system.extensions


def counted_rule(
    when: "Callable[[Any], bool]" = lambda _machine: True,
    /,
    where: "Callable[[QueueUnderTest], bool]" = lambda _system: True,
    **arguments: "SearchStrategy[Any]",
) -> "Callable[[Method], Method]":
    """A rule of a machine, run only in worlds `where` it can be, and `when(machine)` holds.

    It is counted in the machine's reach, unless it found nothing to do: every run that counts performed an
    operation or let time pass.
    """

    def decorate(function: "Method") -> "Method":
        @functools.wraps(function)
        def wrapper(self: "ModelMachine", **drawn: Any) -> None:
            state, done = self.state(), self.driver.actions
            try:
                self.guarded(function, **drawn)
            finally:
                if self.driver.actions > done:
                    self.coverage.record(function.__name__, state)

        _MOVES[wrapper.__qualname__] = where
        # `rule` has overloads for its own two options, which an unpacked dict could seem to hold.
        made: Method = cast("Callable[..., Any]", rule)(**arguments)(wrapper)
        return precondition(lambda machine: where(machine.system) and when(machine))(made)

    return decorate


class ModelMachine(RuleBasedStateMachine):
    """A state machine on a world. Subclasses name their `STATES` and say in `state` which of them holds."""

    system: "ClassVar[QueueUnderTest]"
    coverage: ClassVar[RuleCoverage]
    minimizer: "ClassVar[Minimizer]"

    STATES: ClassVar[tuple[str, ...]] = ()
    IMPOSSIBLE: ClassVar[frozenset[tuple[str, str]]] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.driver = QueueDriver(self.system)
        self.failed = False
        self.ready = False

    def state(self) -> str:
        """The class of the present state, one of `STATES`."""
        raise NotImplementedError

    def finish(self) -> None:
        """What must hold at the end of every example: called once, unless the example has failed."""

    def guarded(self, function: "Method", **drawn: Any) -> None:
        """Run a rule. What fails is given to the search, which knows what Hypothesis shall make of it."""
        self.minimizer.check_time()
        try:
            function(self, **drawn)
        except Exception as failure:  # noqa: BLE001 - the search keeps it, and `run` raises it
            self.failed = True
            raise self.minimizer.keep_shortest(failure, self.driver.program) from None

    def teardown(self) -> None:
        """End the example: all that is due must come."""
        if self.ready and not self.failed:
            self.guarded(type(self).finish)


def run(
    machine: type[ModelMachine],
    system: "QueueUnderTest",
    settings: hypothesis_settings,
    *,
    name: str = "",
    seed: int | None = None,
    note: "Callable[[str], object]" = lambda _line: None,
    shrink_seconds: float = 10.0,
    is_known: "Callable[[Exception], bool]" = lambda _failure: False,
    has_run_ended: "Callable[[], bool]" = lambda: False,
) -> RuleCoverage:
    """Run a machine on a world; what it reached is returned, and kept in `coverage.COVERAGE_BY_MACHINE` under `name`.

    Raises what failed first, in the shortest program that was found within `shrink_seconds`, or sooner where the
    failure `is_known`; `note` is told the program's lines. A failure that does not repeat is raised all the same: a
    server need not be deterministic to be wrong. `seed` chooses the programs, unless the settings do. Raises
    RuntimeError where no rule did anything, which shows nothing, and Interrupted
    where `has_run_ended` before a failure.
    """
    name = name or machine.__name__
    coverage = COVERAGE_BY_MACHINE.setdefault(
        name, RuleCoverage(name, states=machine.STATES, impossible=machine.IMPOSSIBLE)
    )
    coverage.rules |= {
        attribute
        for attribute in dir(machine)
        if (where := _MOVES.get(f"{machine.__name__}.{attribute}")) is not None and where(system)
    }
    minimizer, steps = Minimizer(shrink_seconds, is_known, has_run_ended), coverage.steps()
    bound: type[ModelMachine] = type(
        machine.__name__, (machine,), {"system": system, "coverage": coverage, "minimizer": minimizer}
    )
    if seed is not None:
        bound = choose_programs(seed)(bound)
    try:
        run_state_machine_as_test(bound, settings=hypothesis_settings(settings, report_multiple_bugs=False))
    except (Exception, StopExamples) as error:
        if minimizer.failure is None and has_run_ended():
            raise Interrupted(f"the run ended during {name}") from error
        if minimizer.failure is None:
            raise
    if minimizer.failure is not None:
        for line in minimizer.program:
            note(line)
        raise minimizer.failure
    if coverage.steps() == steps:
        raise RuntimeError(f"{name}: no rule did anything")
    return coverage
