"""What the state machines reached: how often each rule ran in each class of state.

A rule that never runs where it matters tests nothing. Every machine names its classes of state; the share
of pairs (rule, class) that were reached is printed by reports, and tests hold it above a bound.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class RuleCoverage:
    """Counts for one machine. `rules` and `states` are all that there are; `impossible` pairs don't count."""

    machine: str
    rules: set[str] = field(default_factory=set)
    states: tuple[str, ...] = ()
    impossible: frozenset[tuple[str, str]] = frozenset()
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def record(self, rule: str, state: str) -> None:
        """The rule runs in this class of state."""
        self.counts[rule, state] += 1

    def possible(self) -> set[tuple[str, str]]:
        """All pairs that can be reached."""
        return {(rule, state) for rule in self.rules for state in self.states} - self.impossible

    def missed(self) -> list[tuple[str, str]]:
        """The pairs that were not reached."""
        return sorted(self.possible() - self.counts.keys())

    def share(self) -> float:
        """The share of the possible pairs that were reached, 0 to 1."""
        possible = self.possible()
        return 1 - len(self.missed()) / len(possible) if possible else 0.0

    def steps(self) -> int:
        """How many rules ran in all."""
        return self.counts.total()

    def table(self) -> list[tuple[str, dict[str, int]]]:
        """For each rule the number of its runs in each class of state; for a report."""
        return [
            (rule, {state: self.counts[rule, state] for state in self.states}) for rule in sorted(self.rules)
        ]


#: The reach of every machine that ran in this process, by name of machine and binding.
COVERAGE_BY_MACHINE: dict[str, RuleCoverage] = {}


def collected_coverage() -> list[RuleCoverage]:
    """What the machines of this process reached, in order of names."""
    return [COVERAGE_BY_MACHINE[name] for name in sorted(COVERAGE_BY_MACHINE)]
