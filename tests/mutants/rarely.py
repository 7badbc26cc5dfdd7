"""Faults that show once in so many times, at times that differ from run to run."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.mutants.registry import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mutants.registry import Patch

    RarePatch = Callable[["Rarely"], None]

#: A fault of each kind hits one case in so many.
RARITIES = (20, 100, 300, 500, 1000)
#: Largest of them that quick effort finds.
FOUND_QUICKLY = 100
#: The one that each of twenty seeds of standard effort has to find.
FOUND_ALWAYS = 500


class Rarely:
    """True for one call in `rarity` on the average: the number of calls from one to the next is 1 to 2 * rarity - 1."""

    def __init__(self, rarity: int) -> None:
        self._rarity = rarity
        self._left = self._next()

    def __call__(self) -> bool:
        self._left -= 1
        if self._left:
            return False
        self._left = self._next()
        return True

    def _next(self) -> int:
        return random.SystemRandom().randint(1, 2 * self._rarity - 1)


def rare_faults(*breaks: str, bindings: tuple[str, ...]) -> Callable[[RarePatch], RarePatch]:
    """Register a fault for each rarity; the patch gets a Rarely that says when the fault happens."""

    def register(rare_patch: RarePatch) -> RarePatch:
        for rarity in RARITIES:
            effort = "quick" if rarity <= FOUND_QUICKLY else "standard"
            made = _patch(rare_patch, rarity)
            fault(*breaks, bindings=bindings, effort=effort, hard=rarity == FOUND_ALWAYS)(made)
        return rare_patch

    return register


def _patch(rare_patch: RarePatch, rarity: int) -> Patch:
    def patch() -> None:
        rare_patch(Rarely(rarity))

    patch.__name__ = f"one_in_{rarity}_{rare_patch.__name__}"
    patch.__doc__ = f"One in {rarity}: {(rare_patch.__doc__ or '').strip()}"
    return patch
