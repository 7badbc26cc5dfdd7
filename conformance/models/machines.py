"""Base of the Hypothesis state machines: a driver, rule coverage, and minimized failures.

A rule performs operations through the driver, whose model judges every reply; a rule asserts nothing itself. `run`
runs a machine and raises the first failure, with the shortest program found.
"""

import functools
import time
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hypothesis import seed as choose_programs
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from conformance.models.driver import QueueDriver
from conformance.models.minimizer import Minimizer, StopExamples
from conformance.models.program_shrinking import ProgramShrinker
from conformance.models.rule_coverage import COVERAGE_BY_MACHINE, RuleCoverage
from conformance.run.group_clock import Interrupted
from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from conformance.models.queue_under_test import QueueUnderTest

    Method = Callable[..., None]


#: Seconds for dropping operations of a recurring failure that another test shows, too.
KNOWN_SECONDS = 1.0
#: The rules of all machines by qualified name, each with the predicate of the systems on which it can run.
_RULES: "dict[str, Callable[[QueueUnderTest], bool]]" = {}


def time_is_virtual(system: "QueueUnderTest") -> bool:
    """True if time can be advanced there."""
    return system.time_is_virtual


def declares(extension: str) -> "Callable[[QueueUnderTest], bool]":
    """Return a predicate: True if the system under test has the extension."""
    return lambda system: extension in system.extensions


def counted_rule(
    when: "Callable[[Any], bool]" = lambda _machine: True,
    /,
    where: "Callable[[QueueUnderTest], bool]" = lambda _system: True,
    **arguments: "SearchStrategy[Any]",
) -> "Callable[[Method], Method]":
    """Make a rule of a machine. It runs if `where(system)` and `when(machine)` are true.

    A run that performed an operation or advanced time counts in the machine's rule coverage; other runs had nothing
    to do.
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

        _RULES[wrapper.__qualname__] = where
        # mypy: `rule` has overloads for its own two options, which an unpacked dict might hold.
        made: Method = cast("Callable[..., Any]", rule)(**arguments)(wrapper)
        return precondition(lambda machine: where(machine.system) and when(machine))(made)

    return decorate


class ModelMachine(RuleBasedStateMachine):
    """State machine on a system under test. Subclasses name their `STATES`; `state` returns the current one.

    `IMPOSSIBLE`: pairs of a rule and a state in which the rule can never do anything.
    """

    system: "ClassVar[QueueUnderTest]"
    coverage: ClassVar[RuleCoverage]
    minimizer: "ClassVar[Minimizer]"
    begin: "ClassVar[staticmethod[[], object]]" = staticmethod(lambda: None)

    STATES: ClassVar[tuple[str, ...]] = ()
    IMPOSSIBLE: ClassVar[frozenset[tuple[str, str]]] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.begin()
        self.driver = QueueDriver(self.system)
        self.failed = False
        self.ready = False

    def state(self) -> str:
        """Return the class of the current state, one of `STATES`."""
        raise NotImplementedError

    def finish(self) -> None:
        """Check the end of an example; called once, unless the example failed."""

    def guarded(self, function: "Method", **drawn: Any) -> None:
        """Run a rule, and give its failure to the minimizer, which decides what Hypothesis sees."""
        self.minimizer.check_time()
        try:
            function(self, **drawn)
        except Exception as failure:  # noqa: BLE001 - the minimizer keeps it, and `run` raises it
            self.failed = True
            raise self.minimizer.keep_shortest(
                failure, self.driver.program, getattr(self.driver, "calls", ())
            ) from None

    def teardown(self) -> None:
        """End the example: everything due must come."""
        if self.ready and not self.failed:
            self.guarded(type(self).finish)


def _shrink_calls(
    minimizer: Minimizer, system: "QueueUnderTest", seconds: float, begin: "Callable[[], object]"
) -> None:
    """Drop single operations of the program that Hypothesis found, within so many seconds."""
    failure = minimizer.failure
    if not isinstance(failure, Violation) or not minimizer.calls:
        return
    shrinker = ProgramShrinker(
        system,
        failure,
        minimizer.program,
        minimizer.calls,
        minimizer.replies,
        time.monotonic() + seconds,
        has_run_ended=minimizer.has_run_ended,
        begin=begin,
        recurring_seconds=KNOWN_SECONDS if minimizer.is_known(failure) else seconds,
    )
    minimizer.failure, minimizer.program, _ = shrinker.run()


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
    begin: "Callable[[], object]" = lambda: None,
) -> RuleCoverage:
    """Run a machine on a system under test. Returns its coverage, also kept in `COVERAGE_BY_MACHINE` under `name`.

    Raises the first failure, with the shortest program found within `shrink_seconds`, or sooner if the failure
    `is_known`; `note` receives the program's lines. A failure that does not recur is raised too: a server need not be
    deterministic to be wrong. `begin` is called at the start of each example. `seed` chooses the programs, unless
    `settings` does. Raises RuntimeError if no rule performed anything, which proves nothing, and Interrupted if
    `has_run_ended` before a failure.
    """
    name = name or machine.__name__
    coverage = COVERAGE_BY_MACHINE.setdefault(
        name, RuleCoverage(name, states=machine.STATES, impossible=machine.IMPOSSIBLE)
    )
    coverage.rules |= {
        attribute
        for attribute in dir(machine)
        if (where := _RULES.get(f"{machine.__name__}.{attribute}")) is not None and where(system)
    }
    minimizer, steps = Minimizer(shrink_seconds, is_known, has_run_ended), coverage.steps()
    bound: type[ModelMachine] = type(
        machine.__name__,
        (machine,),
        {"system": system, "coverage": coverage, "minimizer": minimizer, "begin": staticmethod(begin)},
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
        _shrink_calls(minimizer, system, shrink_seconds, begin)
        for line in minimizer.program:
            note(line)
        raise minimizer.failure
    if coverage.steps() == steps:
        raise RuntimeError(f"{name}: no rule did anything")
    return coverage
