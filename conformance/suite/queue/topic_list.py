"""The list of all topics, which on a server in use may be longer than the suite reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.wire.failures import TooLong

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.http import HttpReply

PATH = "/topics"


def read_topic_list(bench: Bench, *ids: str) -> HttpReply | None:
    """Reply to GET /topics on a connection of its own; None for a list that is too long: the clauses are skipped."""
    try:
        reply = bench.http().request("GET", PATH)
        reply.json()
    except TooLong:
        for clause in ids:
            bench.skip(clause, "the list of the topics of this server is longer than the suite reads")
        return None
    return reply
