"""Verdicts and the records that they follow from: assertions tallied per clause and binding, waivers, exit statuses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from conformance.specification.clauses import Level
    from conformance.wire.trace import TraceEntry


class Kind(enum.Enum):
    """What a verdict can say."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    DEVIATION = "deviation"
    OBSERVED = "observed"
    BLOCKED = "blocked"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    ERROR = "error"


#: The kinds that say something about the server.
JUDGED = frozenset({Kind.PASS, Kind.FAIL, Kind.DEVIATION, Kind.OBSERVED})
#: The kinds that break what the clause asks.
BROKEN = frozenset({Kind.FAIL, Kind.DEVIATION})


class Exit(enum.IntEnum):
    """The exit statuses of the command line."""

    CONFORMING = 0
    NOT_CONFORMING = 1
    USAGE = 2
    SUITE_FAILED = 3
    INCONCLUSIVE = 4


class Key(NamedTuple):
    """What a verdict is about."""

    clause: str
    binding: str


@dataclass(frozen=True)
class Failure:
    """One failed assertion with its evidence; `at` is in seconds since the start of the run."""

    clause: str
    binding: str
    test: str
    expected: str
    observed: str
    steps: tuple[str, ...] = ()
    frames: tuple[TraceEntry, ...] = ()
    at: float = 0.0


@dataclass(frozen=True)
class Stop:
    """A test that named the clause and ended without asserting it; `by` is the clause that failed before, if any."""

    test: str
    by: str | None


@dataclass
class Tally:
    """All that was recorded about one clause in one binding."""

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
        """How often the clause was asserted."""
        return self.held + self.broken


@dataclass(frozen=True)
class Waiver:
    """A known deviation of a target: why it is not counted, and in which bindings (empty: in all).

    With `goes_on` a test goes on after it, as if the clause held: for what is answered wrongly, and done all the same.
    """

    clause: str
    reason: str
    bindings: tuple[str, ...] = ()
    goes_on: bool = False

    def covers(self, key: Key) -> bool:
        """Whether it speaks of this clause in this binding."""
        return key.clause == self.clause and (not self.bindings or key.binding in self.bindings)


@dataclass(frozen=True)
class Verdict:
    """What the run says about one clause in one binding.

    `reason` is empty for a pass. `roots` are the clauses that a blocked one waits for. `waiver` is the reason of
    the known deviation, where the target has one and the clause is broken.
    """

    key: Key
    level: Level
    kind: Kind
    reason: str = ""
    roots: tuple[str, ...] = ()
    asserted: int = 0
    waiver: str | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the server is non-conforming by this verdict alone."""
        return self.kind is Kind.FAIL and self.waiver is None


@dataclass(frozen=True)
class Result:
    """The verdicts in the order of the text, waivers that were not needed, and what became of the run."""

    verdicts: tuple[Verdict, ...]
    stale: tuple[Waiver, ...]
    exit: Exit
    ended_early: str = ""

    def of(self, *kinds: Kind) -> list[Verdict]:
        """The verdicts of these kinds."""
        return [verdict for verdict in self.verdicts if verdict.kind in kinds]
