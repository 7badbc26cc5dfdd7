"""Legal histories of every kind, one for each seed: `python -m tests.history.legal COUNT [FIRST]` judges so many."""

import random
import sys
import time
from dataclasses import replace

from conformance.history.checkers import judge_history
from conformance.history.events import History
from conformance.history.facts import Facts
from conformance.history.stage import Plan
from tests.history.simulation import Simulation
from tests.models.choices import some_choices
from tests.models.toy_queue import Choices, ToyQueue


def facts_of(choices: Choices, *, partitions_known: bool = True) -> Facts:
    """What a conforming queue with these choices declares."""
    return Facts(
        heartbeat_timeout=choices.heartbeat_timeout,
        eviction_grace=choices.eviction_grace,
        rebalance_timeout=choices.rebalance_timeout,
        partitions={f"topic-{n}": choices.partitions for n in range(2)} if partitions_known else {},
        positions=choices.tells_positions,
    )


def some_plan(seed: int) -> Plan:
    """A small scenario."""
    pick = random.Random(f"plan {seed}")
    return Plan(
        seed=seed,
        producers=pick.randint(1, 3),
        consumers=pick.choice([1, 2, 2, 3, 4]),
        records=pick.choice([4, 8, 16]),
        keys=pick.choice([0, 2, 5]),
        cuts=pick.random() < 0.7,
        silence=pick.random() < 0.7,
        waits=pick.random() < 0.5,
        chance_of_trouble=pick.choice([0.0, 0.05, 0.2]),
        chance_of_leaving=pick.choice([0.0, 0.03, 0.1]),
    )


def some_history(seed: int, queue: type[ToyQueue] = ToyQueue) -> tuple[History, Facts]:
    """A history, and the facts to judge it by; legal, unless the queue is a broken one."""
    pick = random.Random(f"history {seed}")
    choices, virtual = some_choices(seed), pick.random() < 0.6
    if not virtual:
        choices = replace(
            choices,
            heartbeat_timeout=pick.choice([0.2, 0.5]),
            eviction_grace=pick.choice([0.02, 0.2]),
            rebalance_timeout=pick.choice([0.05, 0.3, 1.0]),
        )
    facts = facts_of(choices, partitions_known=pick.random() < 0.7)
    simulation = Simulation(queue(choices), some_plan(seed), facts, virtual=virtual)
    return simulation.run(), facts


def main() -> int:
    """Print the anomalies that are seen in legal histories: there are none."""
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    events = alarms = 0
    started = time.perf_counter()
    for seed in range(first, first + count):
        history, facts = some_history(seed)
        events += len(history)
        for anomaly in judge_history(history, facts):
            alarms += 1
            print(f"seed {seed}: {anomaly}", flush=True)
    spent = time.perf_counter() - started
    print(f"{count} legal histories of {events / count:.0f} events: {alarms} false alarms, {spent:.0f} s")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
