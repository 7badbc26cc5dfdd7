"""Long random walks: states that examples of a few dozen steps do not reach."""

import pytest

from tests.models.choices import some_adapter
from tests.models.core_adapter import BARE, EXTENSIONS, CoreQueueAdapter
from tests.models.random_walk import RandomWalk


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_wrong_with_odd_choices(seed: int) -> None:
    """No clause fails in hundreds of random operations on a queue with legal choices."""
    walk = RandomWalk(
        some_adapter(seed), seed, topics=1 + seed % 3, groups=1 + seed % 2, consumers=2 + seed % 5
    )
    for _ in range(250):
        walk.step()
    walk.finish()


@pytest.mark.parametrize("extensions", [EXTENSIONS, BARE], ids=["declared", "bare"])
def test_nothing_is_wrong_with_the_core_of_the_reference_server(extensions: frozenset[str]) -> None:
    """No clause fails in thousands of operations on the pure core."""
    system = CoreQueueAdapter(extensions=extensions)
    for seed in range(4):
        walk = RandomWalk(system, seed)
        for _ in range(1_000):
            walk.step()
        walk.finish()
    assert system.judge.deviations == []
