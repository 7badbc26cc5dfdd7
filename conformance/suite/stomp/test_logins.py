"""Logins: no frame is obeyed before one, and CONNECT and STOMP both check it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_headers, try_connect
from conformance.suite.stomp.channel import Channel
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

NO_LOGIN = "no login is known, so none can be wrong"
#: Frames that a server without logins carries out.
FRAMES = {
    "SEND": b"SEND\nreceipt:<receipt>\n<destination>\n\n<word>\0",
    "SUBSCRIBE": b"SUBSCRIBE\nid:0\nreceipt:<receipt>\n<destination>\n\n\0",
    "transaction": (
        b"BEGIN\ntransaction:t\n\n\0SEND\ntransaction:t\n<destination>\n\n<word>\0"
        b"COMMIT\ntransaction:t\nreceipt:<receipt>\n\n\0"
    ),
}


def wrong_logins(bench: Bench) -> dict[str, dict[str, str | None]]:
    """Headers of CONNECT with which no login should succeed, by what is wrong with them."""
    return {
        "a wrong passcode": {"passcode": f"not-{bench.target.passcode}"},
        "the beginning of the passcode": {"passcode": (bench.target.passcode or "")[:-1]},
        "no passcode": {"passcode": None},
        "an unknown login": {"login": bench.fresh("nobody")},
        "no login": {"login": None, "passcode": None},
    }


@clauses("STOMP-CONNECT-003", "STOMP-CONNECT-014", "STOMP-CONNECT-015")
def test_the_command_stomp_checks_the_login(bench: Bench) -> None:
    """Send STOMP, and CONNECT as a client of 1.0, with each wrong login that CONNECT is refused for; expect no
    CONNECTED.
    """
    fixture = StompFixture(bench)
    if bench.target.login is None:
        for clause in ("STOMP-CONNECT-003", "STOMP-CONNECT-014", "STOMP-CONNECT-015"):
            fixture.skip(clause, NO_LOGIN)
        return
    for what, headers in wrong_logins(bench).items():
        if try_connect(fixture, headers).connected is not None:
            fixture.observe("STOMP-CONNECT-015", f"CONNECT with {what} is accepted")
            continue
        older = try_connect(fixture, {**headers, "accept-version": None})
        fixture.judge(
            "STOMP-CONNECT-015",
            older.connected is None,
            expected=f"no session for CONNECT with {what} and without accept-version, as with it",
            observed=older,
        )
        tried = try_connect(fixture, headers, "STOMP")
        for clause in ("STOMP-CONNECT-003", "STOMP-CONNECT-014", "STOMP-CONNECT-015"):
            fixture.judge(
                clause,
                tried.connected is None,
                expected=f"no session for STOMP with {what}, as for CONNECT",
                observed=tried,
            )


@clauses("STOMP-CONNECT-015")
@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("when", ["first", "behind", "later"])
def test_nothing_is_obeyed_before_a_login(bench: Bench, when: str, frames: str) -> None:
    """Send a frame without CONNECT, with a wrong one in one message, or after it; expect no effect and no RECEIPT."""
    fixture = StompFixture(bench)
    wrong = {"passcode": f"not-{bench.target.passcode}"}
    if bench.target.login is None or (frames == "transaction" and not fixture.has_transactions):
        bench.skip("STOMP-CONNECT-015", NO_LOGIN if bench.target.login is None else "no transactions")
        return
    if try_connect(fixture, wrong).connected is not None:
        bench.skip("STOMP-CONNECT-015", "the server accepts a wrong passcode")
        return
    channel = Channel(fixture)
    receipt, word = fixture.new_receipt(), bench.fresh("stranger").encode()
    client = bench.stomp(connect=False)
    octets = fill(FRAMES[frames], channel.destination, bench.version, receipt=receipt, word=word)
    connect = encode("CONNECT", connect_headers(bench, wrong))
    if when == "behind":
        client.send_octets(connect + octets)
    else:
        if when == "later":
            client.send_octets(connect)
            with contextlib.suppress(PeerFailure):
                client.expect("ERROR", within=SHORT_WAIT)
        client.send_octets(octets)
    # No fence is possible: nothing that comes later would be obeyed either.
    client.listen(fixture.usual_delay)
    came = [frame for frame in fixture.messages_before_marker(channel.subscription) if frame.body == word]
    client.listen(fixture.usual_delay)
    told = [frame for frame in client.inbox if frame.command in ("MESSAGE", "RECEIPT", "CONNECTED")]
    bench.judge(
        "STOMP-CONNECT-015",
        not came and not told,
        expected=f"no effect of {frames} without a login ({when})",
        observed=[frame.octets for frame in (*came, *told)] or "none",
    )
