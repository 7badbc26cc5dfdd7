"""Which clause is broken when a record that is due does not come, or comes too early."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.models.cursors import Cursor
    from conformance.models.groups import GroupModel
    from conformance.models.members import TimeInterval
    from conformance.models.topics import Record

#: Why a record went back, and the clause that wants it delivered again.
REDELIVERY_CLAUSES = {
    "nack": "NACK-AGAIN-1",
    "evicted": "DELIVER-2",
    "left": "DELIVER-2",
    "unsubscribed": "DELIVER-2",
    "removed": "GROUP-REMOVE-3",
    "revoked": "REBALANCE-5",
}


def clause_of_missing_record(record: "Record", group: "GroupModel") -> str:
    """The record is free, its partition must have an owner, and nobody gets it.

    The nearest cause is named: a refused operation on it, the reason it was given back, another group that
    acknowledged it meanwhile, what last happened to the group. Only then the general promise.
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
    """The clauses that this delivery of a free record keeps, beyond those that every delivery keeps."""
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
    """A later record of the partition came while `skipped` was not acknowledged."""
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
    """A record came again that this group had acknowledged."""
    return cursor.cause(record) or "ACK-COMMIT-1"
