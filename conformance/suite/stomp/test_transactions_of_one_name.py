"""Transactions whose names were used before, or are empty: STOMP-TX-003, STOMP-TX-004, STOMP-TX-006."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.stomp.transaction_steps import (
    all_delivered_bodies,
    channel_to,
    expect_no_messages,
    fresh_bodies,
    send_in_transaction,
)
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

_NONE = "the server has no transactions"


@clauses("STOMP-TX-006", "STOMP-TX-003")
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_a_name_that_comes_again_brings_nothing_along(bench: Bench, end: str) -> None:
    """End a transaction, and commit another one of its name; expect the message of the first once after COMMIT and
    never after ABORT, and that of the second once.
    """
    clause = "STOMP-TX-003" if end == "COMMIT" else "STOMP-TX-006"
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        fixture.skip(clause, _NONE)
        return
    channel = channel_to(fixture)
    sender, name = channel.sender, bench.fresh("t")
    before, after = fresh_bodies(fixture, "before", "after")
    sender.begin(name)
    send_in_transaction(fixture, sender, name, channel.destination, before)
    sender.frame(end, [("transaction", name)])
    fixture.fence(sender)
    try:
        sender.begin(name)
        send_in_transaction(fixture, sender, name, channel.destination, after)
        sender.commit(name)
        fixture.fence(sender)
    except PeerFailure:
        fixture.skip(clause, "the name of a transaction that has ended is refused (STOMP-TX-011)")
        return
    awaited = [before, after] if end == "COMMIT" else [after]
    came = all_delivered_bodies(channel, awaited, [before])
    fixture.judge(
        clause,
        sorted(came) == sorted(awaited),
        expected=f"{sorted(awaited)}, each once: the first transaction ended by {end}",
        observed=came,
    )


@clauses("STOMP-TX-004")
def test_an_empty_name_is_a_name(bench: Bench) -> None:
    """Begin a transaction whose name is empty, and send in it; expect no message before the COMMIT, or a refusal."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        fixture.skip("STOMP-TX-004", _NONE)
        return
    channel = channel_to(fixture)
    bodies = fresh_bodies(fixture, "nameless")
    try:
        channel.sender.begin("")
        fixture.fence(channel.sender)
        send_in_transaction(fixture, channel.sender, "", channel.destination, bodies[0])
        fixture.fence(channel.sender)
    except PeerFailure:
        fixture.skip("STOMP-TX-004", "a transaction whose name is empty is refused")
        return
    expect_no_messages(channel, "STOMP-TX-004", bodies, "no message before the COMMIT of the transaction ''")
