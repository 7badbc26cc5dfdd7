"""Families of faults: the source in which a fault was found, or the chapter of the clause that it breaks.

The faults of the first five families were seen in brokers that others wrote, or made without a look at the suite;
those of a chapter were made together with its tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.specification.clauses import book
from tests.mutants.judging import is_caught, is_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.specification.clauses import Book
    from tests.mutants.judging import Outcome
    from tests.mutants.registry import Fault

#: Public bug reports of brokers, of clients and of queues.
REPORTS = "public reports"
#: The first server of the queue, of which `tests/first_server` is a stand-in.
FIRST_SERVER = "first server"
#: A broker that was written from `spec/` alone, and in which faults were seeded.
FROM_THE_TEXT = "written from the text"
#: Faults that the suite caught, but reported on another clause than the one that they break.
BLAME = "blamed elsewhere"

#: Slips of a rewrite of the server in another language, many after public reports of other brokers; see their modules.
REWRITTEN = "rewritten elsewhere"

_NAMES: dict[str, frozenset[str]] = {
    REPORTS: frozenset(
        {
            "a-commit-forgets-the-other-deliveries",
            "a-quick-subscribe-keeps-the-removed-subscription",
            "a-subscribe-in-the-same-message-overtakes-an-unsubscribe",
            "an-escape-pair-that-is-cut-loses-its-backslash",
            "values-of-1-0-end-at-a-colon",
            "destinations-of-1-0-end-at-a-colon",
            "receipts-of-1-0-end-at-a-colon",
            "transactions-of-1-0-end-at-a-colon",
            "a-frame-of-126-octets-is-read-as-125",
            "a-frame-of-65536-octets-is-read-as-65535",
            "a-frame-of-126-octets-is-written-short",
            "a-frame-of-65535-octets-is-written-as-a-negative-one",
            "a-frame-of-64-kib-is-written-with-two-octets",
            "a-session-with-an-error-goes-on-taking-messages",
            "the-command-stomp-needs-no-passcode",
            "a-client-without-login-may-say-stomp",
            "frames-before-the-login-are-obeyed",
            "a-send-before-the-login-is-obeyed-in-silence",
            "frames-behind-a-refused-login-are-obeyed",
            "a-dying-session-gets-back-what-it-had",
            "what-is-in-flight-goes-to-a-newcomer",
            "each-connection-has-a-round-of-its-own",
            "each-session-has-a-round-of-its-own",
            "looking-at-a-group-frees-its-records",
            "looking-at-a-group-keeps-its-members-alive",
            "a-wait-outlives-its-connection",
            "a-wait-outlives-its-session",
            "the-words-for-nothing-are-no-keys",
            "the-key-0-is-no-key",
            "a-blank-is-no-key",
            "topics-collide-when-dots-become-underscores",
            "consumers-collide-when-hyphens-become-underscores",
            "a-heartbeat-counts-for-longer-names",
            "a-group-is-removed-with-those-of-longer-names",
            "an-evicted-holder-loses-all-but-one",
            "a-record-that-changes-hands-twice-is-lost",
            "acknowledgements-out-of-order-are-not-kept",
        }
    ),
    FROM_THE_TEXT: frozenset(
        {
            "who-waited-in-vain-lives-for-ever",
            "who-was-answered-lives-for-ever",
            "who-waited-on-a-cut-connection-lives-for-ever",
            "who-waited-in-a-cut-session-lives-for-ever",
            "one-flag-for-all-waits",
            "a-batch-that-waits-is-a-single-record",
            "an-eviction-takes-the-quiet-along",
            "who-stands-by-frees-records-by-leaving",
            "who-stands-by-frees-records-by-unsubscribing",
            "a-refused-list-subscribes-to-what-others-read",
            "adding-a-topic-again-begins-its-round-anew",
            "a-partition-is-a-ring",
            "ten-in-flight-are-enough",
            "keys-take-no-room",
            "a-record-without-room-takes-a-turn",
            "numbers-are-truncated",
            "ids-are-read-up-to-the-first-odd-character",
            "longer-paths-are-served-too",
            "two-registrations-at-once-both-win",
            "two-additions-at-once-both-win",
            "two-acknowledgements-at-once-both-win",
            "two-polls-at-once-get-one-record",
            "registrations-at-once-refuse-one-another",
            "who-subscribes-while-it-leaves-comes-back",
            "consumers-names-have-no-case",
            "groups-names-have-no-case",
            "topics-names-have-no-case",
            "topics-names-are-trimmed",
            "consumers-names-are-trimmed",
            "groups-names-are-trimmed",
            "keys-are-composed",
            "keys-are-decomposed",
            "keys-are-trimmed",
            "a-null-key-is-hashed",
            "members-have-no-case",
            "members-have-no-case-and-the-first-counts",
            "a-transaction-keeps-a-hundred-sends",
            "what-stands-behind-a-refused-frame-is-obeyed",
            "a-send-behind-a-refused-frame-is-delivered",
            "acknowledgements-go-on-after-unsubscribe",
            "replies-go-on-after-unsubscribe",
        }
    ),
}
_BY_NAME = {name: family for family, names in _NAMES.items() for name in names}


@dataclass(frozen=True)
class FamilyCount:
    """Numbers of faults of a family: all, those caught, those reported first on their clause or a declared root."""

    family: str
    faults: int
    caught: int
    named: int


def count_families(faults: Sequence[Fault], outcomes: Mapping[str, Outcome], text: Book) -> list[FamilyCount]:
    """Counts of each family among the faults: those from elsewhere first, then chapters in the order of the text."""
    members: dict[str, list[Fault]] = {family: [] for family in all_families()}
    for fault in faults:
        members[family_of(fault)].append(fault)
    return [
        FamilyCount(
            family,
            len(found),
            sum(is_caught(fault, outcomes[fault.name]) for fault in found),
            sum(is_named(fault, outcomes[fault.name], text) for fault in found),
        )
        for family, found in members.items()
        if found
    ]


def all_families() -> list[str]:
    """Names of all families, in the order in which they are listed."""
    chapters = dict.fromkeys(clause.source.removesuffix(".md") for clause in book())
    return [REPORTS, FIRST_SERVER, FROM_THE_TEXT, BLAME, REWRITTEN, *chapters]


def family_of(fault: Fault) -> str:
    """Family of a fault: that of its module, that of its name, or the chapter of its first clause."""
    module = fault.apply.__module__.rpartition(".")[2]
    if module.startswith(("rewritten_", "second_", "third_", "fourth_", "fifth_", "from_go")):
        return REWRITTEN
    by_module = {"first_server": FIRST_SERVER, "blamed_elsewhere": BLAME}
    return by_module.get(module) or _BY_NAME.get(fault.name) or chapter_of(fault)


def chapter_of(fault: Fault) -> str:
    """Chapter of the clause that a fault breaks, such as `queue/polling`."""
    return book()[fault.breaks[0]].source.removesuffix(".md")


def listed_names() -> frozenset[str]:
    """All names that are listed here."""
    return frozenset(_BY_NAME)
