"""Random legal choices of a conforming queue, for the search for false alarms."""

import random

from tests.models.slow_adapter import SlowQueueAdapter
from tests.models.toy_adapters import SharedClockQueueAdapter, ToyQueueAdapter
from tests.models.toy_queue import Choices


def some_choices(seed: int) -> Choices:
    """Return legal choices of every kind."""
    pick = random.Random(f"choices {seed}")
    return Choices(
        seed=seed,
        partitions=pick.randrange(1, 7),
        evict=pick.choice(["late", "anywhere", "sweep"]),
        evict_after=pick.choice([0.0, 0.3, 0.99]),
        settle_after=pick.choice([0.0, 0.0, 0.2, 0.9, None]),
        lazy=pick.random() < 0.4,
        deal=pick.choice(["in order", "reversed", "sticky", "shuffled"]),
        poll_from=pick.choice(["first", "last", "random"]),
        ids=pick.choice(["counter", "large", "per delivery"]),
        tells_positions=pick.random() < 0.5,
        refused_counts_as_sign=pick.random() < 0.5,
        not_subscribed_is_refused=pick.random() < 0.5,
        empty_status=pick.choice([204, 204, 202, 509]),
        refused_status=pick.choice([0, 0, 400, 410]),
        frees=pick.random() < 0.4,
        eviction_grace=pick.choice([1.0, 1.0, 10.0]),
        rebalance_timeout=pick.choice([5.0, 30.0, 100.0]),
    )


def some_adapter(seed: int) -> ToyQueueAdapter:
    """Return a queue with legal choices: on a virtual clock per group or for all, or slow and on a real clock."""
    pick = random.Random(f"world {seed}")
    bare = pick.random() < 0.4
    kind = pick.choice(["virtual", "shared", "slow", "slow"])
    system: ToyQueueAdapter
    if kind == "slow":
        system = SlowQueueAdapter(some_choices(seed), bare=bare, seed=seed)
    elif kind == "shared":
        system = SharedClockQueueAdapter(some_choices(seed), bare=bare)
    else:
        system = ToyQueueAdapter(some_choices(seed), bare=bare)
    if pick.random() < 0.4:
        system.partitions = None
    if bare and pick.random() < 0.5:
        system.extensions -= {"topic-partitions"}
    return system
