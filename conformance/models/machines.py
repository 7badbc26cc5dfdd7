"""What the Hypothesis state machines share: a driver, the count of what they reach, and readable
failures.

A machine's rules perform operations through the driver, whose model judges every reply; a rule asserts
nothing itself. `run` runs a machine and raises the `Violation` of the smallest program that Hypothesis
found.
"""

import functools
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from conformance.models.driver import Driver
from conformance.models.reach import REACHED, Reach
from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from conformance.models.world import World

    Method = Callable[..., None]


_MOVES: set[str] = set()


def move(
    when: "Callable[[Any], bool] | None" = None, /, **arguments: "SearchStrategy[Any]"
) -> "Callable[[Method], Method]":
    """A rule of a machine, run only where `when(machine)` holds, and counted in the machine's reach."""

    def decorate(function: "Method") -> "Method":
        @functools.wraps(function)
        def wrapper(self: "QueueMachine", **drawn: Any) -> None:
            self.reach.note(function.__name__, self.state())
            self.guarded(function, **drawn)

        _MOVES.add(wrapper.__qualname__)
        # `rule` has overloads for its own two options, which an unpacked dict could seem to hold.
        made: Method = cast("Callable[..., Any]", rule)(**arguments)(wrapper)
        return made if when is None else precondition(when)(made)

    return decorate


class QueueMachine(RuleBasedStateMachine):
    """A state machine on a world. Subclasses name their `STATES` and say in `state` which of them holds."""

    world: "ClassVar[World]"
    reach: ClassVar[Reach]
    failed_program: "ClassVar[tuple[Violation, list[str]] | None]" = None

    STATES: ClassVar[tuple[str, ...]] = ()
    IMPOSSIBLE: ClassVar[frozenset[tuple[str, str]]] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver(self.world)
        self.failed = False
        self.ready = False

    def state(self) -> str:
        """The class of the present state, one of `STATES`."""
        raise NotImplementedError

    def finish(self) -> None:
        """What must hold at the end of every example: called once, unless the example has failed."""

    def guarded(self, function: "Method", **drawn: Any) -> None:
        """Run a rule.

        A violation gets a type per clause: to Hypothesis, different clauses are different failures.
        """
        try:
            function(self, **drawn)
        except Violation as violation:
            self.failed = True
            failure = _typed(violation)
            type(self).failed_program = (failure, list(self.driver.program))
            raise failure from None
        except BaseException:
            self.failed = True
            raise

    def teardown(self) -> None:
        """End the example: all that is due must come."""
        if self.ready and not self.failed:
            self.guarded(type(self).finish)


@functools.cache
def _type_for(clause: str) -> type[Violation]:
    return type(f"Violation of {clause}", (Violation,), {})


def _typed(violation: Violation) -> Violation:
    made = _type_for(violation.clause)
    return (
        violation
        if type(violation) is made
        else made(violation.clause, violation.expected, violation.observed)
    )


def run(
    machine: type[QueueMachine],
    world: "World",
    settings: hypothesis_settings,
    *,
    name: str = "",
    note: "Callable[[str], object]" = lambda _line: None,
) -> Reach:
    """Run a machine on a world; returns what it reached, which is kept in `reach.REACHED` under `name` as
    well.

    Raises the `Violation` of the smallest failing program found; `note` is told the program's lines. A
    failure that does not repeat is raised all the same: a server need not be deterministic to be wrong.
    """
    name = name or machine.__name__
    reach = REACHED.setdefault(name, Reach(name, states=machine.STATES, impossible=machine.IMPOSSIBLE))
    bound: type[QueueMachine] = type(
        machine.__name__, (machine,), {"world": world, "reach": reach, "failed_program": None}
    )
    reach.rules |= {attribute for attribute in dir(machine) if f"{machine.__name__}.{attribute}" in _MOVES}
    try:
        run_state_machine_as_test(bound, settings=hypothesis_settings(settings, report_multiple_bugs=False))
    except (Violation, Flaky) as failure:
        if bound.failed_program is None:
            raise
        violation, program = bound.failed_program
        for line in program:
            note(line)
        if failure is violation:
            raise
        raise violation from None
    return reach
