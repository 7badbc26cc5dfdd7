"""All checkers by the name of the anomaly that each finds, and the judgement of a whole history."""

from collections.abc import Callable, Iterable, Iterator

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
    # Records that don't come, or that nobody published
    "lost": order.lost,
    "unseen": loss.unseen,
    "stale": loss.stale,
    "phantom": loss.phantom,
    "changed": loss.changed,
    # Records that come again
    "duplicate": duplicates.duplicate,
    "redelivery after acknowledgement": duplicates.redelivery_after_acknowledgement,
    "stored twice": duplicates.stored_twice,
    "mismarked redelivery": duplicates.mismarked_redelivery,
    "id in use": duplicates.id_in_use,
    "not delivered again": order.not_delivered_again,
    "given back and skipped": order.given_back_and_skipped,
    # Records out of order
    "poll-skip": order.poll_skip,
    "key order broken": order.key_order_broken,
    "more than one in flight": order.more_than_one_in_flight,
    "nonmonotonic poll": order.nonmonotonic_poll,
    "nonmonotonic send": order.nonmonotonic_send,
    # Where records lie
    "inconsistent offsets": partitioning.inconsistent_offsets,
    "offset gap": partitioning.offset_gap,
    "key moved to another partition": partitioning.key_moved,
    "uneven spread": partitioning.uneven_spread,
    # Who owns what
    "two owners at once": ownership.two_owners_at_once,
    "owned by none": loss.owned_by_none,
    "unfair assignment": ownership.unfair_assignment,
    "delivery without subscription": ownership.delivery_without_subscription,
    "moved under its holder": order.moved_under_its_holder,
    # Who is registered
    "evicted early": liveness.evicted_early,
    "evicted late": liveness.evicted_late,
    "delivery to an evicted consumer": liveness.delivery_to_an_evicted_consumer,
    "served after eviction": liveness.served_after_eviction,
    "served after leaving": liveness.served_after_leaving,
    "stranger served": liveness.stranger_served,
    "name taken twice": liveness.name_taken_twice,
    # Acknowledgements by consumers
    "accepted from a non-owner": settlement.accepted_from_a_non_owner,
    "accepted for nothing": settlement.accepted_for_nothing,
    "accepted twice": settlement.accepted_twice,
    "accepted late": settlement.accepted_late,
    "holder refused": settlement.holder_refused,
    "committed by a zombie": order.committed_by_a_zombie,
    "committed though refused": order.committed_though_refused,
    # Acknowledgements to producers
    "acknowledged twice": producers.acknowledged_twice,
    "acknowledged and refused": producers.acknowledged_and_refused,
    "acknowledged wrongly": producers.acknowledged_wrongly,
    "acknowledged to others": producers.acknowledged_to_others,
    "never acknowledged": producers.never_acknowledged,
}

#: Anomalies of one name that are reported; a broken server can show one thousands of times.
MAX_ANOMALIES_PER_KIND = 20


def judge_history(events: Iterable[Event], parameters: ServerParameters) -> list[Anomaly]:
    """All that no conforming server would have done; empty for a history that a conforming one can have.

    Pure: the same events and facts give the same anomalies, in the order of the checkers.
    """
    index = HistoryIndex(events, parameters)
    found: list[Anomaly] = []
    for checker in CHECKERS.values():
        for count, anomaly in enumerate(checker(index)):
            if count == MAX_ANOMALIES_PER_KIND:
                break
            found.append(anomaly)
    return found
