"""The clause to name when a record is missing, skipped, or delivered again.

Several clauses promise the same delivery. The functions pick the one whose operation came last for this record: a
refused acknowledgement, a release, a rebalance; the general promise (DELIVER-1, ORDER-1) is named if nothing else
applies. They choose the clause of a failed assertion, never its outcome.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.models.cursors import Cursor
    from conformance.models.groups import GroupModel
    from conformance.models.members import TimeInterval
    from conformance.models.topics import Record

#: Reasons to release a record, each with the clause that requires its redelivery.
REDELIVERY_CLAUSES = {
    "nack": "NACK-AGAIN-1",
    "evicted": "DELIVER-2",
    "left": "DELIVER-2",
    "unsubscribed": "DELIVER-2",
    "removed": "GROUP-REMOVE-3",
    "revoked": "REBALANCE-5",
}


def clause_of_missing_record(record: "Record", group: "GroupModel") -> str:
    """Return the clause broken by polls without `record`, which is free and whose partition must have an owner.

    In order: a refused operation on the record, the reason it was released, the last event that must not move the
    group's offsets, an acknowledgement by another group, an earlier acknowledgement in the same partition.
    """
    cursor = group.cursors[record.topic]
    if clause := cursor.suspects.get(record.number) or REDELIVERY_CLAUSES.get(
        cursor.release_reasons.get(record.number, "")
    ):
        return clause
    if clause := cursor.cause(record):
        return clause
    if record.number not in cursor.delivered and record.number in cursor.committed_elsewhere:
        return "ISOLATE-1"
    if cursor.committed_since_rebalance and any(
        cursor.topic.same(record, cursor.topic.records[number]) for number in range(record.number)
    ):
        return "ACK-COMMIT-2"
    return _clause_of_undelivered_record(record, group, cursor)


def _clause_of_undelivered_record(record: "Record", group: "GroupModel", cursor: "Cursor") -> str:
    if not cursor.delivered:
        return "POLL-START-1" if cursor.records_at_start > record.number else "DELIVER-1"
    if len(group.triggers) > 1:
        return "ASSIGN-1" if cursor.owners else "REBALANCE-1"
    return "POLL-FAIR-1" if cursor.in_flight else "DELIVER-1"


def clauses_kept(record: "Record", group: "GroupModel", cursor: "Cursor") -> list[str]:
    """Return the clauses that a delivery of this free record keeps, beyond those that every delivery keeps."""
    kept = []
    if (reason := cursor.release_reasons.get(record.number)) is not None:
        kept.append(REDELIVERY_CLAUSES[reason])
    if (suspect := cursor.suspects.pop(record.number, None)) is not None:
        kept.append(suspect)
    if clause := cursor.cause(record):
        kept.append(clause)
    if not cursor.delivered and cursor.records_at_start > record.number:
        kept.append("POLL-START-1")
    if cursor.committed_since_rebalance:
        kept.append("ACK-COMMIT-2")
    return kept


def clause_of_skipped_record(
    skipped: "Record", group: "GroupModel", cursor: "Cursor", taker: str, when: "TimeInterval"
) -> str:
    """Return the clause broken by the delivery to `taker` of a later record than the uncommitted `skipped`."""
    if clause := cursor.suspects.get(skipped.number) or REDELIVERY_CLAUSES.get(
        cursor.release_reasons.get(skipped.number, "")
    ):
        return clause
    flight = cursor.in_flight.get(skipped.number)
    if flight is not None and group.must_be_in_flight(flight, when):
        moving = flight.consumer != taker and not group.is_settled(when)
        return "REBALANCE-2" if moving else "ORDER-2"
    if skipped.number not in cursor.delivered and skipped.number in cursor.committed_elsewhere:
        return "ISOLATE-1"
    return cursor.cause(skipped) or "ORDER-1"


def clause_of_committed_record(record: "Record", cursor: "Cursor") -> str:
    """Return the clause broken by the delivery of a record that the group had acknowledged."""
    return cursor.cause(record) or "ACK-COMMIT-1"
