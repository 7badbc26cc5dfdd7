"""Legal histories, one for each seed: `python -m tests.history.legal COUNT [FIRST]` judges COUNT of them."""

import argparse
import multiprocessing
import random
import sys
import time
from dataclasses import replace

from conformance.history.checkers import judge_history
from conformance.history.events import History
from conformance.history.server_parameters import ServerParameters
from conformance.history.workload.workload_state import WorkloadPlan
from tests.figures.store import own_command, record
from tests.history.simulation import Simulation
from tests.models.choices import some_choices
from tests.models.toy_queue import Choices, ToyQueue

#: Histories between two lines of progress.
PROGRESS = 5_000


def parameters_of(choices: Choices, *, partitions_known: bool = True) -> ServerParameters:
    """The parameters that a conforming queue with these choices declares."""
    return ServerParameters(
        heartbeat_timeout=choices.heartbeat_timeout,
        eviction_grace=choices.eviction_grace,
        rebalance_timeout=choices.rebalance_timeout,
        partitions={f"topic-{n}": choices.partitions for n in range(2)} if partitions_known else {},
        positions=choices.tells_positions,
        frees=choices.frees,
    )


def some_plan(seed: int) -> WorkloadPlan:
    """The plan of a small run."""
    pick = random.Random(f"plan {seed}")
    return WorkloadPlan(
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


def some_history(seed: int, queue: type[ToyQueue] = ToyQueue) -> tuple[History, ServerParameters]:
    """A history and its server parameters; legal unless the queue is a broken one."""
    pick = random.Random(f"history {seed}")
    choices, virtual = some_choices(seed), pick.random() < 0.6
    if not virtual:
        choices = replace(
            choices,
            heartbeat_timeout=pick.choice([0.2, 0.5]),
            eviction_grace=pick.choice([0.02, 0.2]),
            rebalance_timeout=pick.choice([0.05, 0.3, 1.0]),
        )
    parameters = parameters_of(choices, partitions_known=pick.random() < 0.7)
    simulation = Simulation(queue(choices), some_plan(seed), parameters, virtual=virtual)
    return simulation.run(), parameters


def judged(seed: int) -> tuple[int, list[str]]:
    """The number of events in the history of this seed, and the false alarms in words."""
    history, parameters = some_history(seed)
    return len(history), [f"seed {seed}: {anomaly}" for anomaly in judge_history(history, parameters)]


def main() -> int:
    """Judge legal histories and print every false alarm; the exit status is 1 if there is one."""
    values = _arguments()
    seeds = range(values.first, values.first + values.count)
    events = alarms = left_alone = 0
    started = time.perf_counter()
    with multiprocessing.Pool(values.jobs) as pool:
        for number, (length, blamed) in enumerate(pool.imap_unordered(judged, seeds, chunksize=50), 1):
            events += length
            alarms += len(blamed)
            left_alone += not blamed
            for alarm in blamed:
                print(alarm, flush=True)
            if number % PROGRESS == 0:
                spent = time.perf_counter() - started
                print(f"{number} of {len(seeds)}: {alarms} false alarms, {spent:.0f} s", flush=True)
    spent = time.perf_counter() - started
    mean = events / len(seeds)
    print(f"{len(seeds)} legal histories of {mean:.0f} events: {alarms} false alarms, {spent:.0f} s")
    if values.record:
        figures = {"histories": len(seeds), "left_alone": left_alone}
        record("legal histories", figures, own_command("tests.history.legal"))
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
    parser.add_argument("--record", action="store_true", help="write the figures to docs/figures.json")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
