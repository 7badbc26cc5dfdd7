"""The table of all checkers, by the name of the anomaly that each finds, and the judgement of a history."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from conformance.history import (
    duplicates,
    liveness,
    loss,
    order,
    ownership,
    partitioning,
    producers,
    settlement,
)
from conformance.history.events import Event
from conformance.history.index import HistoryIndex
from conformance.history.server_parameters import Anomaly, ServerParameters

Checker = Callable[[HistoryIndex], Iterator[Anomaly]]

CHECKERS: dict[str, Checker] = {
    # Records that are missing, late, invented or changed
    "lost": order.lost,
    "started late": order.started_late,
    "unseen": loss.unseen,
    "stale": loss.stale,
    "phantom": loss.phantom,
    "changed": loss.changed,
    # Repeated deliveries
    "duplicate": duplicates.duplicate,
    "redelivery after acknowledgement": duplicates.redelivery_after_acknowledgement,
    "commit went back": duplicates.commit_went_back,
    "stored twice": duplicates.stored_twice,
    "mismarked redelivery": duplicates.mismarked_redelivery,
    "id in use": duplicates.id_in_use,
    "not delivered again": order.not_delivered_again,
    "given back and skipped": order.given_back_and_skipped,
    # Order in a partition
    "poll-skip": order.poll_skip,
    "key order broken": order.key_order_broken,
    "more than one in flight": order.more_than_one_in_flight,
    "nonmonotonic poll": order.nonmonotonic_poll,
    "nonmonotonic send": order.nonmonotonic_send,
    # Positions
    "inconsistent offsets": partitioning.inconsistent_offsets,
    "offset gap": partitioning.offset_gap,
    "key moved to another partition": partitioning.key_moved,
    "uneven spread": partitioning.uneven_spread,
    # Assignment
    "two owners at once": ownership.two_owners_at_once,
    "owned by none": loss.owned_by_none,
    "unfair assignment": ownership.unfair_assignment,
    "delivery without subscription": ownership.delivery_without_subscription,
    "moved under its holder": order.moved_under_its_holder,
    # Registrations and evictions
    "evicted early": liveness.evicted_early,
    "evicted late": liveness.evicted_late,
    "delivery to an evicted consumer": liveness.delivery_to_an_evicted_consumer,
    "served after eviction": liveness.served_after_eviction,
    "served after leaving": liveness.served_after_leaving,
    "stranger served": liveness.stranger_served,
    "name taken twice": liveness.name_taken_twice,
    # Consumer acknowledgements
    "accepted from a non-owner": settlement.accepted_from_a_non_owner,
    "accepted for nothing": settlement.accepted_for_nothing,
    "accepted twice": settlement.accepted_twice,
    "accepted late": settlement.accepted_late,
    "holder refused": settlement.holder_refused,
    "committed by a zombie": order.committed_by_a_zombie,
    "committed though refused": order.committed_though_refused,
    # Producer acknowledgements
    "acknowledged twice": producers.acknowledged_twice,
    "acknowledged and refused": producers.acknowledged_and_refused,
    "acknowledged wrongly": producers.acknowledged_wrongly,
    "acknowledged to others": producers.acknowledged_to_others,
    "never acknowledged": producers.never_acknowledged,
}

#: Anomalies of one kind that are reported; a broken server can show thousands of them.
MAX_ANOMALIES_PER_KIND = 20
#: Anomalies of one kind that are counted. Checkers are lazy generators, so counting costs no more than the scan of a
#: legal history, plus this many anomalies.
MAX_COUNTED_PER_KIND = 1_000


def judge_history(events: Iterable[Event], parameters: ServerParameters) -> list[Anomaly]:
    """All anomalies of a history, in the order of the checkers; empty if a conforming server can have it.

    At most `MAX_ANOMALIES_PER_KIND` of one name are returned; the message of the last one says how many more there
    are. Pure: the same events and parameters give the same anomalies.
    """
    index = HistoryIndex(events, parameters)
    return [anomaly for checker in CHECKERS.values() for anomaly in _first_of_kind(checker(index))]


def _first_of_kind(anomalies: Iterator[Anomaly]) -> list[Anomaly]:
    """The anomalies to report of one checker; the last one counts those that are left out."""
    reported = list(islice(anomalies, MAX_ANOMALIES_PER_KIND))
    limit = MAX_COUNTED_PER_KIND - len(reported)
    more = sum(1 for _ in islice(anomalies, limit + 1))
    if more:
        count = f"at least {limit}" if more > limit else f"{more}"
        reported[-1] = replace(reported[-1], message=f"{reported[-1].message}; and {count} more of this kind")
    return reported
