"""Needs of the checkers: evidence that a history must have, without which a checker can't find its anomaly.

A history in which nobody falls silent says nothing about evictions. A checker without its evidence is reported as "not
judged", with its needs, and never as passed.
"""

from collections import defaultdict
from collections.abc import Callable, Collection
from itertools import chain

from conformance.history.events import (
    NEVER,
    Acknowledge,
    Event,
    GiveBack,
    Heartbeat,
    Poll,
    ProducerAck,
    Publish,
    Register,
    Subscribe,
    Unregister,
)
from conformance.history.index import HistoryIndex
from conformance.history.system_facts import SystemFacts

ORDER = "positions or keys"
ROUNDS = "several consumers of one group"
LATE = "refused acknowledgements"
EVICTED = "refused polls or heartbeats"
SETTLED = "the timing rebalance_limit"

#: Evidence that each checker needs.
NEEDS: dict[str, tuple[str, ...]] = {
    "lost": ("deliveries", "publishes", ORDER),
    "started late": ("deliveries", "publishes", "positions"),
    "unseen": ("publishes", "emptiness", "empty polls", SETTLED),
    "stale": ("publishes", "emptiness", "empty polls", SETTLED),
    "phantom": ("deliveries", "publishes"),
    "changed": ("deliveries", "publishes", "keys of deliveries"),
    "duplicate": ("deliveries", SETTLED),
    "redelivery after acknowledgement": ("deliveries", "acknowledgements"),
    "commit went back": ("deliveries", "acknowledgements", "positions"),
    "stored twice": ("deliveries", "positions"),
    "mismarked redelivery": ("deliveries", "marks of redelivery"),
    "id in use": ("deliveries", SETTLED),
    "not delivered again": ("deliveries", ORDER, "members that leave or fall silent"),
    "given back and skipped": ("deliveries", ORDER, "records given back"),
    "poll-skip": ("deliveries", ORDER),
    "key order broken": ("deliveries", "keys"),
    "more than one in flight": ("deliveries", ORDER),
    "nonmonotonic poll": ("deliveries", ORDER),
    "nonmonotonic send": ("publishes", "positions"),
    "inconsistent offsets": ("positions",),
    "offset gap": ("publishes", "positions in every answer"),
    "key moved to another partition": ("keys", "positions"),
    "uneven spread": ("publishes", "positions", "the number of partitions", "records without a key"),
    "two owners at once": ("deliveries", ORDER, ROUNDS, SETTLED),
    "owned by none": ("publishes", "emptiness", "empty polls", ROUNDS, SETTLED),
    "unfair assignment": ("deliveries", "positions", "the number of partitions", ROUNDS, SETTLED),
    "delivery without subscription": ("deliveries",),
    "moved under its holder": ("deliveries", ORDER, ROUNDS, SETTLED),
    "evicted early": ("the timing heartbeat_timeout", "members"),
    "evicted late": ("the timing eviction_grace", "members that fall silent"),
    "delivery to an evicted consumer": (EVICTED,),
    "served after eviction": (EVICTED,),
    "served after leaving": ("members that leave",),
    "stranger served": ("members",),
    "name taken twice": ("the timing heartbeat_timeout", "names that register twice"),
    "accepted from a non-owner": ("acknowledgements", ROUNDS, LATE),
    "accepted for nothing": ("acknowledgements", LATE),
    "accepted twice": ("acknowledgements", LATE),
    "accepted late": ("acknowledgements", LATE),
    "holder refused": ("acknowledgements", SETTLED),
    "committed by a zombie": ("deliveries", ORDER, LATE),
    "committed though refused": ("deliveries", ORDER, LATE),
    "acknowledged twice": ("acknowledgements for producers",),
    "acknowledged and refused": ("acknowledgements for producers",),
    "acknowledged wrongly": ("acknowledgements for producers",),
    "acknowledged to others": ("acknowledgements for producers",),
    "never acknowledged": ("acknowledgements for producers",),
}
#: Needs without which a checker would raise false alarms. Without any other, it finds less.
REQUIRED = frozenset({"publishes", "emptiness"})


def missing_needs(checker: str, evidence: Collection[str]) -> tuple[str, ...]:
    """The needs of a checker that the history does not meet."""
    return tuple(need for need in NEEDS[checker] if need not in evidence)


def evidence_of(index: HistoryIndex, facts: SystemFacts) -> frozenset[str]:
    """The needs that a history meets."""
    found = {need for need, holds in _FACTS.items() if holds(facts)}
    open_needs = dict(_EVENTS)
    for event in index.events:
        for need in [need for need, shows in open_needs.items() if shows(event)]:
            found.add(need)
            del open_needs[need]
        if not open_needs:
            break
    if "positions" in found or "keys" in found:
        found.add(ORDER)
    if _has_several_consumers(index):
        found.add(ROUNDS)
    if any(len(lifetimes) > 1 for lifetimes in index.lifetimes.of_name.values()):
        found.add("names that register twice")
    if _has_silence(index):
        found.add("members that fall silent")
    if found & {"members that leave", "members that fall silent", EVICTED}:
        found.add("members that leave or fall silent")
    return frozenset(found)


_FACTS: dict[str, Callable[[SystemFacts], bool]] = {
    "emptiness": lambda facts: "emptiness" in facts.tells,
    "positions in every answer": lambda facts: "positions" in facts.tells,
    "the number of partitions": lambda facts: bool(facts.partitions),
    SETTLED: lambda facts: "rebalance_limit" in facts.timings,
    "the timing heartbeat_timeout": lambda facts: "heartbeat_timeout" in facts.timings,
    "the timing eviction_grace": lambda facts: (
        "heartbeat_timeout" in facts.timings and "eviction_grace" in facts.timings
    ),
}


def _tells_position(event: Event) -> bool:
    if isinstance(event, Publish):
        return event.partition is not None and event.offset is not None
    return isinstance(event, Poll) and any(
        record.partition is not None and record.offset is not None for record in event.records
    )


_EVENTS: dict[str, Callable[[Event], bool]] = {
    "publishes": lambda event: isinstance(event, Publish),
    "keys": lambda event: isinstance(event, Publish) and bool(event.key),
    "records without a key": lambda event: isinstance(event, Publish) and not event.key,
    "keys of deliveries": lambda event: (
        isinstance(event, Poll) and any(record.key_told for record in event.records)
    ),
    "positions": _tells_position,
    "deliveries": lambda event: isinstance(event, Poll) and bool(event.records),
    "empty polls": lambda event: isinstance(event, Poll) and event.empty,
    "marks of redelivery": lambda event: (
        isinstance(event, Poll) and any(record.redelivered is not None for record in event.records)
    ),
    "acknowledgements": lambda event: isinstance(event, Acknowledge) and event.succeeded,
    LATE: lambda event: isinstance(event, Acknowledge) and event.refused,
    "records given back": lambda event: isinstance(event, GiveBack) and event.succeeded,
    EVICTED: lambda event: isinstance(event, Poll | Heartbeat) and event.refused,
    "members": lambda event: isinstance(event, Subscribe) and event.succeeded,
    "members that leave": lambda event: isinstance(event, Unregister) and event.possible,
    "acknowledgements for producers": lambda event: isinstance(event, ProducerAck),
}


def _has_several_consumers(index: HistoryIndex) -> bool:
    """True if two consumers of one group were served."""
    served: dict[str, set[str]] = defaultdict(set)
    for event in index.of_type(Register):
        if event.succeeded:
            served[event.group].add(event.consumer)
            if len(served[event.group]) > 1:
                return True
    return False


def _has_silence(index: HistoryIndex) -> bool:
    """True if a member was silent for longer than the eviction limit between two of its operations."""
    limit = index.parameters.eviction_limit
    if limit == NEVER:
        return False
    for lifetime in chain.from_iterable(index.lifetimes.of_name.values()):
        heard: float = lifetime.registration.sign_ended
        for event in lifetime.events:
            if event.group_time_began - heard > limit and not isinstance(event, Unregister):
                return True
            heard = max(heard, event.sign_ended)
    return False
