"""Judgement of a history by promises: what was broken, kept, or could not be judged."""

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from conformance.history.checkers import CHECKERS, MAX_ANOMALIES_PER_KIND, MAX_COUNTED_PER_KIND
from conformance.history.events import Event
from conformance.history.files import HistoryFile
from conformance.history.index import HistoryIndex
from conformance.history.needs import REQUIRED, evidence_of, missing_needs
from conformance.history.promises import BY_NAME, PROMISES, Promise
from conformance.history.server_parameters import Anomaly
from conformance.history.shrinking import smallest

#: Anomalies of one kind whose evidence is reduced to the smallest history that shows them.
SHRUNK_PER_KIND = 3


class Verdict(enum.Enum):
    """Verdict on a promise."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class FoundAnomaly:
    """An anomaly; `history` is a smallest set of events that shows it, empty if it was not looked for or not found."""

    anomaly: Anomaly
    history: tuple[Event, ...] = ()


@dataclass(frozen=True)
class CheckerResult:
    """Result of one checker. `missing` are the needs that the history does not meet.

    `found` are the first anomalies, `count` is their number, at most `MAX_COUNTED_PER_KIND`.
    """

    name: str
    missing: tuple[str, ...]
    found: tuple[FoundAnomaly, ...] = ()
    count: int = 0

    @property
    def verdict(self) -> Verdict:
        if self.found:
            return Verdict.BROKEN
        return Verdict.NOT_JUDGED if self.missing else Verdict.KEPT


@dataclass(frozen=True)
class PromiseResult:
    """Result of one promise; `promised` is True if the system is held to it."""

    promise: Promise
    promised: bool
    results: tuple[CheckerResult, ...]

    @property
    def verdict(self) -> Verdict:
        """Broken if any checker found something, kept if one could judge and none found anything."""
        verdicts = {result.verdict for result in self.results}
        if Verdict.BROKEN in verdicts:
            return Verdict.BROKEN
        return Verdict.KEPT if Verdict.KEPT in verdicts else Verdict.NOT_JUDGED

    @property
    def missing(self) -> tuple[str, ...]:
        """The needs that are not met, of all checkers that could not judge."""
        return tuple(dict.fromkeys(need for result in self.results for need in result.missing))


@dataclass(frozen=True)
class Judgement:
    """Results of one history, one for each promise, in the order of `PROMISES`."""

    file: HistoryFile
    promises: tuple[PromiseResult, ...]

    @property
    def promised(self) -> list[PromiseResult]:
        """The results that count."""
        return [result for result in self.promises if result.promised]

    @property
    def is_broken(self) -> bool:
        """True if a promise is broken that the system makes."""
        return any(result.verdict is Verdict.BROKEN for result in self.promised)

    @property
    def is_inconclusive(self) -> bool:
        """True if more than half of the promises that count could not be judged."""
        unjudged = sum(result.verdict is Verdict.NOT_JUDGED for result in self.promised)
        return 2 * unjudged > len(self.promised) or not self.promised


def judge(
    file: HistoryFile,
    promised: Collection[str] | None = None,
    *,
    tell: Callable[[str], None] = lambda _checker: None,
) -> Judgement:
    """Judge a history by all promises. `promised` are the names of those that count, None for those of the file.

    `tell` is called with the name of each checker before it runs. Raises ValueError for the name of a promise that
    does not exist.
    """
    names = promised if promised is not None else file.facts.promises
    counting = set(BY_NAME) if names is None else set(names)
    if unknown := sorted(counting - BY_NAME.keys()):
        raise ValueError(f"there is no promise {unknown[0]!r}: expected some of {', '.join(BY_NAME)}")
    tell("reading the events in order")
    index = HistoryIndex(file.events, file.facts.parameters())
    evidence = evidence_of(index, file.facts)
    results = {}
    for name in CHECKERS:
        tell(name)
        results[name] = _result(index, name, missing_needs(name, evidence))
    return Judgement(
        file,
        tuple(
            PromiseResult(
                promise, promise.name in counting, tuple(results[name] for name in promise.checkers)
            )
            for promise in PROMISES
        ),
    )


def _result(index: HistoryIndex, name: str, missing: Sequence[str]) -> CheckerResult:
    if REQUIRED.intersection(missing):
        return CheckerResult(name, tuple(missing))
    anomalies = CHECKERS[name](index)
    first = list(islice(anomalies, MAX_ANOMALIES_PER_KIND))
    more = sum(1 for _ in islice(anomalies, MAX_COUNTED_PER_KIND - len(first)))
    found = [
        FoundAnomaly(anomaly, smallest(index, anomaly) if number < SHRUNK_PER_KIND else ())
        for number, anomaly in enumerate(first)
    ]
    return CheckerResult(name, tuple(missing), tuple(found), len(first) + more)
