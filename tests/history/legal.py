"""Legal histories of every kind, one for each seed: `python -m tests.history.legal COUNT [FIRST]` judges so many."""

import argparse
import multiprocessing
import random
import sys
import time
from dataclasses import replace

from conformance.history.checkers import judge_history
from conformance.history.events import History
from conformance.history.server_parameters import Facts
from conformance.history.workload.workload_state import Plan
from tests.history.simulation import Simulation
from tests.models.choices import some_choices
from tests.models.toy_queue import Choices, ToyQueue

#: After how many histories a line tells how far it is.
PROGRESS = 5_000


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


def judged(seed: int) -> tuple[int, list[str]]:
    """How many events the history of this seed has, and what it is wrongly blamed for."""
    history, facts = some_history(seed)
    return len(history), [f"seed {seed}: {anomaly}" for anomaly in judge_history(history, facts)]


def main() -> int:
    """Print the anomalies that are seen in legal histories: there are none."""
    values = _arguments()
    seeds = range(values.first, values.first + values.count)
    events = alarms = 0
    started = time.perf_counter()
    with multiprocessing.Pool(values.jobs) as pool:
        for number, (length, blamed) in enumerate(pool.imap_unordered(judged, seeds, chunksize=50), 1):
            events += length
            alarms += len(blamed)
            for alarm in blamed:
                print(alarm, flush=True)
            if number % PROGRESS == 0:
                spent = time.perf_counter() - started
                print(f"{number} of {len(seeds)}: {alarms} false alarms, {spent:.0f} s", flush=True)
    spent = time.perf_counter() - started
    mean = events / len(seeds)
    print(f"{len(seeds)} legal histories of {mean:.0f} events: {alarms} false alarms, {spent:.0f} s")
    return 1 if alarms else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.history.legal",
        description="Judge legal histories of a conforming queue, one per seed. Exit status: 0 without false alarms, "
        "else 1.",
    )
    parser.add_argument(
        "count", type=_positive, help="number of histories; 1,000 take about a minute on one processor"
    )
    parser.add_argument("first", type=int, nargs="?", default=0, help="first seed (default: 0)")
    parser.add_argument(
        "--jobs", type=_positive, metavar="N", help="number of processes (default: one per processor)"
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
