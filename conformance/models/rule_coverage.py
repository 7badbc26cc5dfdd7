"""Coverage of the state machines: how often each rule ran in each class of state.

A rule that never runs in a state tests nothing there. Every machine names its classes of state; reports print the
share of pairs (rule, class) that occurred, and tests require a minimum.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class RuleCoverage:
    """Counts of one machine. `rules` and `states`: all that exist; `impossible`: pairs that cannot occur."""

    machine: str
    rules: set[str] = field(default_factory=set)
    states: tuple[str, ...] = ()
    impossible: frozenset[tuple[str, str]] = frozenset()
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def record(self, rule: str, state: str) -> None:
        """Count a run of the rule in this class of state."""
        self.counts[rule, state] += 1

    def possible(self) -> set[tuple[str, str]]:
        """Return all pairs that can occur."""
        return {(rule, state) for rule in self.rules for state in self.states} - self.impossible

    def missed(self) -> list[tuple[str, str]]:
        """Return the possible pairs that did not occur, sorted."""
        return sorted(self.possible() - self.counts.keys())

    def share(self) -> float:
        """Return the share of possible pairs that occurred, 0 to 1."""
        possible = self.possible()
        return 1 - len(self.missed()) / len(possible) if possible else 0.0

    def steps(self) -> int:
        """Return the number of rules that ran."""
        return self.counts.total()

    def table(self) -> list[tuple[str, dict[str, int]]]:
        """Return for each rule its number of runs by class of state."""
        return [
            (rule, {state: self.counts[rule, state] for state in self.states}) for rule in sorted(self.rules)
        ]


#: The coverage of every machine that ran in this process, by name of machine and binding.
COVERAGE_BY_MACHINE: dict[str, RuleCoverage] = {}


def collected_coverage() -> list[RuleCoverage]:
    """Return the coverage of all machines of this process, sorted by name."""
    return [COVERAGE_BY_MACHINE[name] for name in sorted(COVERAGE_BY_MACHINE)]
