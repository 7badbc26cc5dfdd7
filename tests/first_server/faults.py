"""Faults of the first server, as a table: name, clauses broken, and one sentence on the server's behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Fault:
    """One deviation that can be switched on. `clauses` are the ids of the clauses that it breaks."""

    name: str
    clauses: tuple[str, ...]
    sentence: str

    @property
    def number(self) -> str:
        """The short name: `J1` of `J1-hanging-subscriptions`."""
        return self.name.partition("-")[0]


HANGING_SUBSCRIPTIONS = Fault(
    "J1-hanging-subscriptions",
    ("MEMBER-SUBSCRIBE-1", "MEMBER-UNSUBSCRIBE-1"),
    "Lets every subscription and unsubscription of a group hang while a rebalance waits for a holder.",
)
STUCK_SWEEPER = Fault(
    "J2-stuck-sweeper",
    ("LIVE-EVICT-1",),
    "Never evicts anybody, in any group, once a holder for which a rebalance waits has fallen silent.",
)
LOST_PARTITION = Fault(
    "J3-lost-partition",
    ("REBALANCE-1",),
    "Loses a partition for ever when the newcomer leaves before the owner has settled.",
)
TWO_OWNERS = Fault(
    "J4-two-owners",
    ("MEMBER-UNSUBSCRIBE-1", "DELIVER-1"),
    "Leaves its partitions with a consumer that unsubscribes: two owners poll one record, and two acknowledgements "
    "move the offset by two.",
)
SHARED_HASH = Fault(
    "J5-shared-hash",
    ("PART-KEY-1",),
    "Shares the state of its hash between threads: of 400 keyed records in one burst of one connection, 5 land in "
    "another partition.",
)
OUT_OF_ORDER = Fault(
    "J6-out-of-order",
    ("ORDER-3",),
    "Stores the records of one connection's burst out of order.",
)
IDS_BY_CONSUMER = Fault(
    "J7-ids-by-consumer",
    ("POLL-OK-2",),
    "Counts message ids for each consumer by itself.",
)
UNSEEN_TOPIC = Fault(
    "J8-unseen-topic",
    ("TOPIC-ADD-1", "PUB-STORE-1"),
    "Answers FAILED for a topic that was just added on another connection: one topic of ten.",
)
PAUSED_TOPIC = Fault(
    "J9-paused-topic",
    ("REBALANCE-4",),
    "Pauses the whole topic of an owner that gives up one partition.",
)
NEVER_TAKEN_BACK = Fault(
    "J10-never-taken-back",
    ("REBALANCE-5",),
    "Never takes a record back from its holder.",
)
KEPT_MEMBERS = Fault(
    "J11-kept-members",
    ("GROUP-REMOVE-2",),
    "Keeps the members of a removed group.",
)
UNKNOWN_ID = Fault(
    "J12a-unknown",
    ("ACK-UNKNOWN-1",),
    "Answers 202 to the acknowledgement of an id that is in flight with nobody.",
)
FOREIGN_ID = Fault(
    "J12b-foreign",
    ("ACK-OTHER-1",),
    "Answers 202 to the acknowledgement of another consumer's record.",
)
NEGATIVE_ID = Fault(
    "J12c-negative",
    ("ACK-BAD-1",),
    "Answers 202 to the acknowledgement of a negative id.",
)
TEXT_ID = Fault(
    "J12d-text",
    ("ACK-BAD-1",),
    "Answers 500 to the acknowledgement of an id that is a text and no number.",
)
EMPTY_NAME = Fault(
    "J13a-empty",
    ("NAME-2",),
    "Takes the empty name.",
)
MISSING_TEXT = Fault(
    "J13b-missing",
    ("REFUSE-5", "PUB-BODY-1"),
    "Takes a name or text that is missing for the word `null`.",
)
SLASHED_NAME = Fault(
    "J13c-slashed",
    ("NAME-2",),
    "Takes names with a slash.",
)
NUMBER_FOR_TEXT = Fault(
    "J13d-numbers",
    ("REFUSE-5", "PUB-BODY-1"),
    "Takes a number for a text.",
)
TRAILING_OCTETS = Fault(
    "J13e-trailing",
    ("REFUSE-5",),
    "Takes a body whatever follows its JSON object.",
)
EMPTY_AT_END = Fault(
    "J14-empty-at-end",
    ("MEMBER-SUBSCRIBE-2",),
    "Drops empty names at the end of `topic_list`.",
)
SILENT_POLLS = Fault(
    "J15-silent-polls",
    ("LIVE-SIGN-1",),
    "Takes heartbeats and acknowledgements for signs of life, and polls for none.",
)
COMMITTED_BY_EVICTION = Fault(
    "J16-committed-by-eviction",
    ("DELIVER-2",),
    "Commits what a consumer holds when it is evicted: nobody gets these records again.",
)
SHARED_OFFSETS = Fault(
    "J17-shared-offsets",
    ("ISOLATE-1",),
    "Commits an acknowledgement in every group that reads the partition.",
)
GROUP_ANEW = Fault(
    "J18-group-anew",
    ("GROUP-ADD-2",),
    "Forgets the offsets of a group that is added again.",
)
ANY_HEARTBEAT = Fault(
    "J19-any-heartbeat",
    ("LIVE-BEAT-2",),
    "Answers 202 to the heartbeat of any name.",
)
SUBSCRIBED_AGAIN = Fault(
    "J20-subscribed-again",
    ("MEMBER-SUBSCRIBE-4",),
    "Frees what a consumer holds when it subscribes to its topic once more.",
)
TOLD_BY_PREFIX = Fault(
    "J21-told-by-prefix",
    ("PUB-ACK-7",),
    "Sends the acknowledgements of topic `ab` to the subscriptions of `a`, too.",
)
EMPTY_KEY = Fault(
    "J22-empty-key",
    ("PART-RR-1",),
    "Hashes the empty key in place of taking it for none.",
)
LABEL_AS_TEXT = Fault(
    "J23-label-as-text",
    ("PUB-ACK-6",),
    "Acknowledges a record whose `messageID` is a number under that number as a text.",
)
CASE_BLIND = Fault(
    "J24-case-blind",
    ("NAME-5",),
    "Finds topics without regard to case.",
)

TABLE: tuple[Fault, ...] = (
    HANGING_SUBSCRIPTIONS,
    STUCK_SWEEPER,
    LOST_PARTITION,
    TWO_OWNERS,
    SHARED_HASH,
    OUT_OF_ORDER,
    IDS_BY_CONSUMER,
    UNSEEN_TOPIC,
    PAUSED_TOPIC,
    NEVER_TAKEN_BACK,
    KEPT_MEMBERS,
    UNKNOWN_ID,
    FOREIGN_ID,
    NEGATIVE_ID,
    TEXT_ID,
    EMPTY_NAME,
    MISSING_TEXT,
    SLASHED_NAME,
    NUMBER_FOR_TEXT,
    TRAILING_OCTETS,
    EMPTY_AT_END,
    SILENT_POLLS,
    COMMITTED_BY_EVICTION,
    SHARED_OFFSETS,
    GROUP_ANEW,
    ANY_HEARTBEAT,
    SUBSCRIBED_AGAIN,
    TOLD_BY_PREFIX,
    EMPTY_KEY,
    LABEL_AS_TEXT,
    CASE_BLIND,
)

#: The enabled faults.
Faults = frozenset[Fault]
NONE: Faults = frozenset()


def by_name(names: Collection[str]) -> Faults:
    """The faults with these names or short names. Raises KeyError for the first unknown one."""
    known = {spelling: fault for fault in TABLE for spelling in (fault.name, fault.number)}
    return frozenset(known[name] for name in names)


def listing() -> str:
    """The table as text: one line for each fault."""
    width = max(len(fault.name) for fault in TABLE)
    return "\n".join(
        f"{fault.name:{width}}  {fault.sentence}  [{', '.join(fault.clauses)}]" for fault in TABLE
    )
