"""Messages between a run and a process that runs some of its tests, as pickles on a pipe."""

from __future__ import annotations

import copyreg
import pickle
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from conformance.verdicts.case import find_failure
from conformance.wire.failures import PeerFailure, RunEnded, Violation

if TYPE_CHECKING:
    from conformance.models.rule_coverage import RuleCoverage
    from conformance.run.options import Options
    from conformance.run.run import RecordedHistory
    from conformance.targets.target import Target
    from conformance.verdicts.verdicts import Key, Tally


def _read_only(facts: dict[str, Any]) -> MappingProxyType[str, Any]:
    return MappingProxyType(facts)


# The facts of an event are a read-only mapping, which pickle does not know.
copyreg.pickle(MappingProxyType, lambda facts: (_read_only, (dict(facts),)))


@dataclass(frozen=True)
class SentTarget:
    """One node of the target, without what can't be sent: TLS contexts and admission.

    `connections` is the number that the process may have, None for any.
    """

    target: Target
    has_tls: bool
    http_has_tls: bool
    connections: int | None


@dataclass(frozen=True)
class Job:
    """The run that the process takes part in, and the nodes of its target.

    `modules` are those of the tests of all processes: Hypothesis draws constants of the modules that are imported,
    which must not depend on who runs what.
    """

    options: Options
    nodes: tuple[SentTarget, ...]
    modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One test to run: its function by module and name, its parameters, and what the run knows so far.

    `elapsed` is in seconds since the start of the run. `failed` are the clauses of which other tests have recorded a
    failure.
    """

    module: str
    function: str
    parameters: dict[str, Any]
    name: str
    clauses: tuple[str, ...]
    binding: str
    elapsed: float
    failed: frozenset[Key]
    findings: frozenset[str]


@dataclass(frozen=True)
class Stop:
    """End of the run, and why: the test is to end."""

    reason: str


class Problem(NamedTuple):
    """Exception of a test, whose own class may not be one that can be sent. `kind` is the class that it becomes."""

    kind: str
    clause: str
    expected: str
    observed: str

    def error(self) -> BaseException:
        """The exception anew."""
        if self.kind == "Violation":
            return Violation(self.clause, self.expected, self.observed)
        if self.kind == "PeerFailure":
            return PeerFailure(self.expected, self.observed, self.clause)
        return RunEnded(self.observed) if self.kind == "RunEnded" else RuntimeError(self.observed)


@dataclass(frozen=True)
class Outcome:
    """End of a test: what it recorded, how it ended, how long it took in seconds, and what it told about the run."""

    tallies: dict[Key, Tally]
    problem: Problem | None
    ended_at: Key | None
    seconds: float
    findings: frozenset[str]
    ended_early: str = ""
    suite_failures: tuple[str, ...] = ()
    histories: tuple[RecordedHistory, ...] = ()
    coverage: dict[str, RuleCoverage] = field(default_factory=dict)
    had_no_room: bool = False
    """True if the test got no connection while others ran: it has to run alone."""


def problem_of(error: BaseException | None) -> Problem | None:
    """An exception that a test raised, in a form that can be sent."""
    if error is None:
        return None
    failure = find_failure(error)
    if isinstance(failure, Violation):
        return Problem("Violation", failure.clause, failure.expected, f"{failure.observed}")
    if failure is not None:
        return Problem("PeerFailure", failure.promise, failure.expected, f"{failure.observed}")
    kind = "RunEnded" if isinstance(error, RunEnded) else "RuntimeError"
    return Problem(kind, "", "", f"{type(error).__name__}: {error}")


def send(stream: IO[bytes], message: object) -> None:
    """Write a message. Raises OSError, ValueError if the stream is closed."""
    stream.write(pickle.dumps(message))
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message. Raises EOFError at the end of the stream, UnpicklingError within a message."""
    return pickle.load(stream)  # noqa: S301  the other side is this suite
