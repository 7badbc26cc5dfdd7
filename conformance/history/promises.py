"""Promises: engine-neutral properties of a queue with partitions and groups, each with the checkers that refute it.

A checker belongs to one promise. The clauses of a promise are those of our text that say the same; another system may
promise it in other words, or not at all.
"""

from dataclasses import dataclass

from conformance.history.checkers import CHECKERS


@dataclass(frozen=True)
class Promise:
    """One property: its name, the sentence that it stands for, its checkers, and the clauses that promise it."""

    name: str
    sentence: str
    checkers: tuple[str, ...]
    clauses: tuple[str, ...]


PROMISES: tuple[Promise, ...] = (
    Promise(
        "order-within-partition",
        "A group gets the records of a partition in the order in which they were stored.",
        ("poll-skip", "nonmonotonic poll", "nonmonotonic send"),
        ("ORDER-1", "PUB-STORE-1"),
    ),
    Promise(
        "order-by-key",
        "Records with one key lie in one partition, and a group gets them in the order in which they were sent.",
        ("key order broken", "key moved to another partition"),
        ("ORDER-1", "PART-KEY-1"),
    ),
    Promise(
        "one-in-flight",
        "The next record of a partition is handed out only after the one before it was settled.",
        ("more than one in flight", "moved under its holder"),
        ("ORDER-2", "REBALANCE-2"),
    ),
    Promise(
        "at-least-once",
        "Every record that was stored comes to every group.",
        ("lost", "unseen", "stale", "owned by none", "committed though refused"),
        (
            "DELIVER-1",
            "DELIVER-2",
            "POLL-OK-1",
            "POLL-FAIR-1",
            "NACK-AGAIN-1",
            "REBALANCE-1",
            "ASSIGN-1",
            "REFUSE-1",
        ),
    ),
    Promise(
        "no-phantom",
        "A record that comes was published, not refused, and comes as it was sent, from one place.",
        ("phantom", "changed", "stored twice"),
        ("DELIVER-4", "PUB-BODY-2", "PUB-TEXT-1"),
    ),
    Promise(
        "no-redelivery-after-acknowledgement",
        "A record that a group has acknowledged does not come to it again.",
        ("redelivery after acknowledgement",),
        ("ACK-COMMIT-1",),
    ),
    Promise(
        "commit-never-goes-back",
        "A group that has acknowledged a record and the next ones does not go back behind them.",
        ("commit went back",),
        ("ACK-COMMIT-1",),
    ),
    Promise(
        "late-acknowledgement-refused",
        "An acknowledgement by a consumer that does not hold the record is refused and has no effect.",
        (
            "accepted from a non-owner",
            "accepted for nothing",
            "accepted twice",
            "accepted late",
            "committed by a zombie",
        ),
        ("ACK-OTHER-1", "ACK-UNKNOWN-1", "LIVE-GONE-3"),
    ),
    Promise(
        "holder-may-acknowledge",
        "An acknowledgement by the consumer that holds the record is accepted.",
        ("holder refused",),
        ("ACK-OK-1", "REBALANCE-2"),
    ),
    Promise(
        "one-owner-at-a-time",
        "A partition belongs to one member of a group at a time, and a record in flight to one consumer.",
        ("two owners at once", "duplicate"),
        ("ASSIGN-1", "DELIVER-3"),
    ),
    Promise(
        "eviction-within-its-bound",
        "A silent member is put out after the heartbeat timeout, and within the grace after it.",
        ("evicted early", "evicted late"),
        ("LIVE-KEEP-1", "LIVE-EVICT-1"),
    ),
    Promise(
        "redelivered-before-its-successors",
        "A record that was given back, or whose holder is gone, comes again before later ones of its partition.",
        ("not delivered again", "given back and skipped"),
        ("DELIVER-2", "NACK-AGAIN-1"),
    ),
    Promise(
        "start-at-the-oldest",
        "A new group starts at the oldest record of every partition.",
        ("started late",),
        ("POLL-START-1", "DELIVER-1"),
    ),
    Promise(
        "gone-is-gone",
        "A consumer that left, was put out, or never joined is not served, and a member's name is not given away.",
        (
            "delivery to an evicted consumer",
            "served after eviction",
            "served after leaving",
            "stranger served",
            "name taken twice",
            "delivery without subscription",
        ),
        (
            "LIVE-GONE-1",
            "LIVE-GONE-3",
            "MEMBER-UNREGISTER-1",
            "MEMBER-UNSUBSCRIBE-1",
            "MEMBER-SUBSCRIBE-2",
            "MEMBER-REGISTER-4",
            "POLL-UNKNOWN-1",
            "POLL-NONE-1",
            "ACK-CONSUMER-1",
            "LIVE-BEAT-2",
        ),
    ),
    Promise(
        "even-shares",
        "Partitions are shared evenly among members, and records without a key among partitions.",
        ("unfair assignment", "uneven spread"),
        ("ASSIGN-2", "PART-RR-1"),
    ),
    Promise(
        "true-marks",
        "Positions, ids of deliveries and marks of redelivery are true.",
        ("inconsistent offsets", "offset gap", "mismarked redelivery", "id in use"),
        ("PUB-POSITION-1", "POLL-REDELIVERED-1", "POLL-OK-2"),
    ),
    Promise(
        "producers-are-told",
        "Producers get one acknowledgement for each record, which says truly whether the record was stored.",
        (
            "acknowledged twice",
            "acknowledged and refused",
            "acknowledged wrongly",
            "acknowledged to others",
            "never acknowledged",
        ),
        ("PUB-ACK-1", "PUB-ACK-2", "PUB-ACK-3", "PUB-ACK-4", "PUB-ACK-5", "PUB-ACK-7", "PUB-ACK-8"),
    ),
)
BY_NAME = {promise.name: promise for promise in PROMISES}
#: The promise of each checker.
PROMISE_OF = {checker: promise for promise in PROMISES for checker in promise.checkers}

assert PROMISE_OF.keys() == CHECKERS.keys()
