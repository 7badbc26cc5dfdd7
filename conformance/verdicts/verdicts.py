"""Verdicts and the records that they follow from: assertions tallied per clause and binding, waivers, exit statuses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from conformance.specification.clauses import Level
    from conformance.wire.trace import Recording, TraceEntry


class Kind(enum.Enum):
    """Kinds of verdict."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    DEVIATION = "deviation"
    OBSERVED = "observed"
    BLOCKED = "blocked"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    ERROR = "error"


#: Kinds that say something about the server.
JUDGED = frozenset({Kind.PASS, Kind.FAIL, Kind.DEVIATION, Kind.OBSERVED})
#: Kinds of a broken clause.
BROKEN = frozenset({Kind.FAIL, Kind.DEVIATION})


class Exit(enum.IntEnum):
    """Exit statuses of the command line."""

    CONFORMING = 0
    NOT_CONFORMING = 1
    USAGE = 2
    SUITE_FAILED = 3
    INCONCLUSIVE = 4


class Key(NamedTuple):
    """A clause in a binding: the subject of a verdict."""

    clause: str
    binding: str


@dataclass(frozen=True)
class Failure:
    """A failed assertion with its evidence; `at` is in seconds since the start of the run.

    `number` counts the kept failures of the clause in the binding, from 1. `recording` is what `replay` sends again.
    """

    clause: str
    binding: str
    test: str
    expected: str
    observed: str
    steps: tuple[str, ...] = ()
    frames: tuple[TraceEntry, ...] = ()
    at: float = 0.0
    number: int = 1
    recording: Recording | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Stop:
    """A test of the clause that ended without asserting it; `by` is the clause that failed before, if any."""

    test: str
    by: str | None


@dataclass
class Tally:
    """Records about one clause in one binding."""

    tests: set[str] = field(default_factory=set)
    held: int = 0
    broken: int = 0
    failures: list[Failure] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    never_run: list[str] = field(default_factory=list)

    @property
    def asserted(self) -> int:
        """Number of assertions of the clause."""
        return self.held + self.broken


@dataclass(frozen=True)
class Waiver:
    """A known deviation of a target, which is not counted; `bindings` empty: in all bindings.

    `transport` is `websocket` or `tcp` where the deviation is of one transport, "" where it is of both.

    With `goes_on` a test goes on after the failure, as if the clause held: for a server that performs an operation
    although it answers it wrongly.
    """

    clause: str
    reason: str
    bindings: tuple[str, ...] = ()
    goes_on: bool = False
    transport: str = ""

    def is_for(self, transport: str) -> bool:
        """True if the waiver is for servers judged over this transport."""
        return self.transport in ("", transport)

    def covers(self, key: Key) -> bool:
        """True if the waiver names this clause and includes this binding."""
        return key.clause == self.clause and (not self.bindings or key.binding in self.bindings)


@dataclass(frozen=True)
class Verdict:
    """Verdict on one clause in one binding.

    `reason` is empty for a pass. `roots` are the broken clauses that block a blocked one. `waiver` is the reason of
    the known deviation if the clause is broken and the target has one, else None. `is_excluded` is true if the user
    left the clause out of the run.
    """

    key: Key
    level: Level
    kind: Kind
    reason: str = ""
    roots: tuple[str, ...] = ()
    asserted: int = 0
    waiver: str | None = None
    failures: tuple[Failure, ...] = ()
    is_excluded: bool = False

    @property
    def counts(self) -> bool:
        """True if this verdict alone makes the server non-conforming."""
        return self.kind is Kind.FAIL and self.waiver is None


@dataclass(frozen=True)
class Share:
    """Number of a class's requirements (MUST) that could not be judged, of all that should have been."""

    name: str
    unjudged: int
    claimed: int


@dataclass(frozen=True)
class Result:
    """Verdicts in the order of the text, waivers that were not needed, and the exit status.

    `ended_early` is the reason why the run did not reach its end, "" if it did. `hardly_judged` are the claimed classes
    of which more than half of the requirements could not be judged. `stale_counts` is true if stale waivers are an
    error.
    """

    verdicts: tuple[Verdict, ...]
    stale: tuple[Waiver, ...]
    exit: Exit
    ended_early: str = ""
    hardly_judged: tuple[Share, ...] = ()
    stale_counts: bool = False

    def of(self, *kinds: Kind) -> list[Verdict]:
        """Verdicts of these kinds."""
        return [verdict for verdict in self.verdicts if verdict.kind in kinds]
