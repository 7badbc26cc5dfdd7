"""Speed of the models on the pure core of the reference server: `python -m tests.models.speed`.

Prints operations per second of processor time, judged by the model, in random walks and Hypothesis machines.
Processor time does not depend on the load of the machine.
"""

import time

from hypothesis import HealthCheck, settings

from conformance.models.machines import run
from tests.models.core_adapter import CoreQueueAdapter
from tests.models.machines import MACHINES
from tests.models.random_walk import RandomWalk


def walking_speed(steps: int = 20_000) -> float:
    """Return the operations per second of random walks of a thousand moves each."""
    system = CoreQueueAdapter()
    started = time.process_time()
    for seed in range(steps // 1_000):
        walk = RandomWalk(system, seed)
        for _ in range(1_000):
            walk.step()
        walk.finish()
    return system.calls / (time.process_time() - started)


def machine_speed(name: str, examples: int = 150) -> float:
    """Return the operations per second of a machine under Hypothesis."""
    system = CoreQueueAdapter()
    chosen = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    started = time.process_time()
    run(MACHINES[name], system, chosen, name=f"speed {name}", seed=1)
    return system.calls / (time.process_time() - started)


def main() -> None:
    """Print the table."""
    print(f"{'random walks':24}{walking_speed():10,.0f} operations/s")
    for name in MACHINES:
        print(f"{'machine ' + name:24}{machine_speed(name):10,.0f} operations/s")


if __name__ == "__main__":
    main()
