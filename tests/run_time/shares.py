"""Shares of the processor time of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Spent:
    """Processor seconds of the suite's process, of its tests by kind, and of the server's process; wall seconds."""

    suite: float
    server: float
    kinds: Mapping[str, float]
    wall: float


def table(spent: Spent) -> str:
    """One line for each share of the processor time, largest first, then the sum and the wall time in seconds."""
    parts = {
        **spent.kinds,
        "the suite without its tests": spent.suite - sum(spent.kinds.values()),
        "the server": spent.server,
    }
    whole = spent.suite + spent.server
    lines = [
        f"{seconds / whole:6.1%}  {name}"
        for name, seconds in sorted(parts.items(), key=lambda part: -part[1])
    ]
    return "\n".join([*lines, f"{whole:5.1f} s of processor time in {spent.wall:.1f} s"])
