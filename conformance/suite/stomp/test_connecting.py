"""Opening a session: STOMP-CONNECT-*, STOMP-LINGER-001."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_headers, judge_refused_connect, try_connect
from conformance.suite.stomp.frame_template import send_frame
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import expect_error_and_close, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: A name; a slash and a version; a space and comments (STOMP-CONNECT-009).
SERVER = re.compile(r"[^ /]+(?:/[^ ]+)?(?: .*)?", re.DOTALL)
SESSIONS = 20
AT_ONCE = 5


@clauses("STOMP-CONNECT-001")
def test_connect_is_answered_by_one_connected(bench: Bench) -> None:
    """Send CONNECT; expect CONNECTED as the first frame, and only one."""
    fixture = StompFixture(bench)
    client = bench.stomp(connect=False)
    fixture.connect(client)
    before = [frame.octets for frame in client.inbox]
    bench.judge(
        "STOMP-CONNECT-001", not before, expected="no frame in front of CONNECTED", observed=before or "none"
    )
    fixture.fence(client)
    more = client.take("CONNECTED")
    bench.judge(
        "STOMP-CONNECT-001", not more, expected="one CONNECTED", observed=[f.octets for f in more] or "one"
    )


@clauses("STOMP-CONNECT-002")
def test_a_wrong_passcode_is_refused_by_an_error(bench: Bench) -> None:
    """Send CONNECT with a wrong passcode; expect an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    if bench.target.login is None:
        bench.skip("STOMP-CONNECT-002", "no login is known, so none can be wrong")
        return
    tried = try_connect(fixture, {"passcode": f"not-{bench.target.passcode}"})
    judge_refused_connect(fixture, tried, "a wrong passcode")


@clauses("STOMP-CONNECT-005", "STOMP-CONNECT-002")
def test_an_unknown_host(bench: Bench) -> None:
    """Send CONNECT with an unknown `host`. Recorded: a refusal, which should be an ERROR and the end."""
    fixture = StompFixture(bench)
    tried = try_connect(fixture, {"host": f"{bench.fresh('host')}.invalid"})
    bench.observe("STOMP-CONNECT-005", f"an unknown host is {'accepted' if tried.connected else 'refused'}")
    judge_refused_connect(fixture, tried, "an unknown host")


@clauses("STOMP-CONNECT-006", "STOMP-CONNECT-002")
def test_connect_without_host(bench: Bench) -> None:
    """Send CONNECT without `host`. Recorded: a refusal, which should be an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    tried = try_connect(fixture, {"host": None})
    bench.observe(
        "STOMP-CONNECT-006", f"CONNECT without host is {'accepted' if tried.connected else 'refused'}"
    )
    judge_refused_connect(fixture, tried, "a CONNECT without host")


@clauses("STOMP-CONNECT-003", "STOMP-CONNECT-014")
@pytest.mark.parametrize(
    "headers", [{}, {"x": "a\\tb:c"}, {"receipt": "r"}], ids=["plain", "literally", "receipt"]
)
def test_the_command_stomp_connects(bench: Bench, headers: dict[str, str | None]) -> None:
    """Send STOMP with the headers of CONNECT; expect the same answer as for CONNECT, and no RECEIPT."""
    fixture = StompFixture(bench)
    tried, usually = try_connect(fixture, headers, "STOMP"), try_connect(fixture, headers)
    # A refusal of CONNECT, rightful or not, must be one of STOMP too.
    if tried.connected is None or usually.connected is None:
        ok = tried.connected is usually.connected
    else:
        fixture.fence(tried.client)
        ok = tried.connected.get("version") == usually.connected.get("version")
        ok = ok and not tried.client.take("RECEIPT")
    for clause in ("STOMP-CONNECT-003", "STOMP-CONNECT-014"):
        fixture.judge(
            clause, ok, expected=f"the same as for CONNECT ({usually}), and no RECEIPT", observed=tried
        )


@clauses("STOMP-CONNECT-004")
def test_connected_names_the_version(bench: Bench) -> None:
    """Send CONNECT with one version; expect it as `version` in CONNECTED."""
    connected = bench.stomp().connected
    assert connected is not None
    bench.judge(
        "STOMP-CONNECT-004",
        connected.get("version") == bench.version,
        expected=f"version:{bench.version}",
        observed=connected.octets,
    )


@clauses("STOMP-CONNECT-007")
def test_a_client_that_offers_no_version_speaks_1_0(bench: Bench) -> None:
    """Send CONNECT without `accept-version`; expect a session of 1.0, or a refusal by a server without 1.0."""
    fixture = StompFixture(bench)
    tried = try_connect(fixture, {"accept-version": None})
    if tried.connected is not None:
        ok = tried.connected.get("version") in (None, "1.0")
    else:
        speaks_it = try_connect(fixture, {"accept-version": "1.0"}).connected is not None
        ok = tried.refusal.is_refusal and not speaks_it
    bench.judge(
        "STOMP-CONNECT-007", ok, expected="a session of 1.0, or a refusal if 1.0 isn't spoken", observed=tried
    )


@clauses("STOMP-CONNECT-008", "STOMP-CONNECT-009")
def test_optional_headers_of_connected(bench: Bench) -> None:
    """Send CONNECT; expect a name in front of `server`. Recorded: session, server and heart-beat of CONNECTED."""
    connected = StompFixture(bench).client().connected
    assert connected is not None
    named = [name for name in ("session", "server", "heart-beat") if connected.get(name) is not None]
    bench.observe("STOMP-CONNECT-008", f"CONNECTED has {', '.join(named) or 'none of them'}")
    server = connected.get("server")
    if server is None:
        bench.skip("STOMP-CONNECT-009", "CONNECTED has no server header")
        return
    bench.judge(
        "STOMP-CONNECT-009",
        SERVER.fullmatch(server) is not None,
        expected="a name, a slash and a version, a space and comments",
        observed=f"server:{server}",
    )


@clauses("STOMP-CONNECT-010")
def test_sessions_have_different_names(bench: Bench) -> None:
    """Send CONNECT on many connections, some open at once; expect a different `session` on each."""
    fixture = StompFixture(bench)
    names: list[str | None] = []
    for _ in range(SESSIONS // AT_ONCE):
        clients = [fixture.client() for _ in range(AT_ONCE)]
        names += [client.connected.get("session") for client in clients if client.connected]
        for client in clients:
            client.close()
    given = [name for name in names if name is not None]
    if not given:
        bench.skip("STOMP-CONNECT-010", "CONNECTED has no session header")
        return
    bench.judge(
        "STOMP-CONNECT-010",
        len(set(given)) == len(given),
        expected=f"{len(given)} different values",
        observed=given,
    )


@clauses("STOMP-CONNECT-011")
@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE", "BEGIN", "ACK"])
def test_a_frame_before_connect(bench: Bench, command: str) -> None:
    """Send a frame before CONNECT. Recorded: a refusal, which should be an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    destination, receipt = fixture.topic(), fixture.new_receipt()
    template = {
        "SEND": b"SEND\ndestination:<name>\nreceipt:<receipt>\n\n\0",
        "SUBSCRIBE": b"SUBSCRIBE\ndestination:<name>\nid:0\nreceipt:<receipt>\n\n\0",
        "BEGIN": b"BEGIN\nreceipt:<receipt>\ntransaction:<transaction>\n\n\0",
        "ACK": b"ACK\nid:m\nmessage-id:m\nreceipt:<receipt>\nsubscription:0\n\n\0",
    }[command]

    def provoke() -> StompClient:
        client = bench.stomp(connect=False)
        send_frame(
            client, template, name=destination.name, receipt=receipt, transaction=bench.fresh("transaction")
        )
        return client

    def connect(client: StompClient, within: float) -> None:
        client.frame("CONNECT", connect_headers(bench))
        client.expect("CONNECTED", within=within)

    found = reaction(fixture, provoke, receipt, fence=connect, patience=SHORT_WAIT)
    # After a frame that was carried out the CONNECT may be refused as a second one: that ERROR has no receipt-id.
    is_named = found.error is not None and found.error.get("receipt-id") == receipt
    is_carried_out = bool(found.receipts) and not is_named
    seen = "carried out" if is_carried_out else "refused" if found.is_refusal else "ignored"
    bench.observe("STOMP-CONNECT-011", f"{command} before CONNECT is {seen}")
    if is_carried_out:
        bench.skip("STOMP-ERROR-009", f"the server accepts {command} before CONNECT")
    elif found.is_refusal or (fixture.has_receipts and found.served_later_frames and not found.is_accepted):
        expect_error_and_close(fixture, "STOMP-ERROR-009", found, receipt, f"{command} before CONNECT")


@clauses("STOMP-CONNECT-012")
def test_a_second_connect(bench: Bench) -> None:
    """Send a second CONNECT. Recorded: a refusal, which should be an ERROR and the end of the connection."""
    fixture = StompFixture(bench)

    def provoke() -> StompClient:
        client = fixture.client()
        client.frame("CONNECT", connect_headers(bench))
        return client

    found = reaction(fixture, provoke, patience=SHORT_WAIT)
    accepted = any(frame.command == "CONNECTED" for frame in found.other_frames) and not found.is_refusal
    seen = "accepted" if accepted else "refused" if found.is_refusal else "ignored"
    bench.observe("STOMP-CONNECT-012", f"a second CONNECT is {seen}")
    if found.is_refusal or (found.served_later_frames and not accepted):
        expect_error_and_close(fixture, "STOMP-ERROR-009", found, None, "a second CONNECT")


@clauses("STOMP-CONNECT-013")
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_connect_gets_no_receipt(bench: Bench, command: str) -> None:
    """Send CONNECT or STOMP with `receipt`; expect no RECEIPT."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()
    tried = try_connect(fixture, {"receipt": receipt}, command if bench.version != "1.0" else "CONNECT")
    if tried.connected is not None:
        fixture.fence(tried.client)
    came = tried.client.take("RECEIPT")
    bench.judge("STOMP-CONNECT-013", not came, expected=f"no RECEIPT for {command}", observed=came or "none")


@clauses("STOMP-LINGER-001")
def test_many_short_sessions(bench: Bench) -> None:
    """Open and end some hundred sessions in a row, then several at once; expect each to be served in time."""
    fixture = StompFixture(bench)
    cycles = bench.examples(40, 150, 300)
    for number in range(cycles):
        _come_and_go(fixture, [fixture.bench.stomp(connect=False)], f"session {number + 1} of {cycles}")
    for number in range(cycles // 20):
        clients = [fixture.bench.stomp(connect=False) for _ in range(2 * AT_ONCE)]
        _come_and_go(fixture, clients, f"round {number + 1} of {2 * AT_ONCE} at once")


def _come_and_go(fixture: StompFixture, clients: list[StompClient], which: str) -> None:
    bench = fixture.bench
    try:
        for client in clients:
            client.frame("CONNECT", connect_headers(bench))
        for client in clients:
            client.expect("CONNECTED")
            client.disconnect()
            client.link.end_sending()
        for client in clients:
            client.read_to_end()
    except PeerFailure as failure:
        bench.judge("STOMP-LINGER-001", False, expected=f"{which} served", observed=failure.observed)
        raise
    bench.judge("STOMP-LINGER-001", True, expected=f"{which} served", observed="served")
