"""Detection of each broken queue, by clause and number of rules: `python -m tests.models.detection [SEEDS]`."""

import statistics
import sys
import time
from collections import Counter

from tests.models.broken import FAULTS
from tests.models.test_faults import detect


def main() -> None:
    """Print one line for each fault, and the number of runs that named exactly the broken clause."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    exact = allowed = 0
    for name, fault in FAULTS.items():
        started = time.perf_counter()
        found = [detect(name, seed) for seed in range(seeds)]
        clauses = Counter(clause or "not caught" for clause, _ in found)
        exact += clauses[fault.clauses[0]]
        allowed += sum(count for clause, count in clauses.items() if clause in fault.clauses)
        told = ", ".join(f"{clause} {count}" for clause, count in clauses.most_common())
        steps = statistics.median(steps for _, steps in found)
        spent = (time.perf_counter() - started) / seeds
        print(f"{name:60} {fault.clauses[0]:22} {steps:6.0f} rules {spent:6.2f} s  {told}", flush=True)
    runs = seeds * len(FAULTS)
    print(f"{runs} runs: {allowed} caught as named, {exact} of them on the very clause that is broken")


if __name__ == "__main__":
    main()
