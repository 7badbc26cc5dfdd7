"""Facts about a system whose history is judged: the first line of a history file (spec/histories.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.history.events import NEVER
from conformance.history.server_parameters import ServerParameters

KIND, FORMAT = "history", 1
#: Names of timings in a file, in seconds.
TIMINGS = (
    "heartbeat_timeout",
    "eviction_grace",
    "rebalance_hold",
    "rebalance_limit",
    "acknowledgement_timeout",
    "slack",
)
TELLS = ("positions", "emptiness")
#: First record that a new group gets: the oldest one, or the next one that is stored.
STARTS = ("oldest", "newest")
#: Longest text that a message about a malformed line quotes, in characters.
QUOTED = 80


class BadHistory(Exception):
    """A file is no history; the message names the line, what was found, and what was expected."""


@dataclass(frozen=True)
class SystemFacts:
    """Facts about a system: the first line of a file. `timings` are in seconds and hold those that are known.

    `promises` is None if the system is to be held to all of them.
    """

    title: str = ""
    name: str = ""
    version: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    partitions: Mapping[str, int] = field(default_factory=dict)
    tells: frozenset[str] = frozenset()
    frees: bool = False
    starts: str = STARTS[0]
    promises: tuple[str, ...] | None = None

    def parameters(self) -> ServerParameters:
        """Parameters for the checkers. An unknown time allows every behaviour."""
        get = self.timings.get
        return ServerParameters(
            heartbeat_timeout=get("heartbeat_timeout", 0.0),
            eviction_grace=get("eviction_grace", NEVER) if "heartbeat_timeout" in self.timings else NEVER,
            rebalance_timeout=get("rebalance_hold", 0.0),
            rebalance_settles=get("rebalance_limit", NEVER),
            acknowledgement_timeout=get("acknowledgement_timeout", NEVER),
            slack=get("slack", 0.0),
            partitions=self.partitions,
            positions="positions" in self.tells,
            frees=self.frees,
            starts_at_newest=self.starts == "newest",
        )


def facts_of(parameters: ServerParameters, **more: Any) -> SystemFacts:
    """Facts about a server that is judged by these parameters; `more` are members of SystemFacts."""
    timings = {
        "heartbeat_timeout": parameters.heartbeat_timeout,
        "eviction_grace": parameters.eviction_grace,
        "rebalance_hold": parameters.rebalance_timeout,
        "rebalance_limit": parameters.rebalance_limit - parameters.slack,
        "acknowledgement_timeout": parameters.acknowledgement_timeout,
        "slack": parameters.slack,
    }
    return SystemFacts(
        timings={name: value for name, value in timings.items() if value < NEVER},
        partitions=dict(parameters.partitions),
        tells=frozenset(["emptiness", *(["positions"] if parameters.positions else [])]),
        frees=parameters.frees,
        starts="newest" if parameters.starts_at_newest else "oldest",
        **more,
    )


def quoted(value: object) -> str:
    """A value of a file in a message, cut to `QUOTED` characters."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"
