"""Opening a session: STOMP-CONNECT-*, STOMP-LINGER-001."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_headers, judge_refused_connect, try_connect
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import judge_refusal_rules, reaction
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
    """CONNECTED is the first frame, and the only one of its kind."""
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
    """Where logins are checked, a wrong one gets an ERROR, and then the connection ends."""
    fixture = StompFixture(bench)
    if bench.target.login is None:
        bench.skip("STOMP-CONNECT-002", "no login is known, so none can be wrong")
        return
    tried = try_connect(fixture, {"passcode": f"not-{bench.target.passcode}"})
    judge_refused_connect(fixture, tried, "a wrong passcode")


@clauses("STOMP-CONNECT-005", "STOMP-CONNECT-002")
def test_an_unknown_host(bench: Bench) -> None:
    """Recorded: a host that the server can't know is refused, or taken for the default one."""
    fixture = StompFixture(bench)
    tried = try_connect(fixture, {"host": f"{bench.fresh('host')}.invalid"})
    bench.observe("STOMP-CONNECT-005", f"an unknown host is {'accepted' if tried.connected else 'refused'}")
    judge_refused_connect(fixture, tried, "an unknown host")


@clauses("STOMP-CONNECT-006", "STOMP-CONNECT-002")
def test_no_host(bench: Bench) -> None:
    """Recorded: a CONNECT without host is accepted or refused."""
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
    """STOMP opens a session where CONNECT does: its headers are read alike, and it gets no RECEIPT."""
    fixture = StompFixture(bench)
    tried, usually = try_connect(fixture, headers, "STOMP"), try_connect(fixture, headers)
    # Whatever is refused in CONNECT, rightly or not, is to be refused here too.
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
    """A client that offers one version gets it, and is told so."""
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
    """CONNECT without accept-version opens a session of 1.0; a server that doesn't speak that refuses it."""
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
def test_what_connected_tells(bench: Bench) -> None:
    """Recorded: session, server and heart-beat. A server header begins with a name."""
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
    """The values of `session` differ, some of the sessions being open at the same time."""
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
    """Recorded: what happens to it. A refusal should be an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    destination, receipt = fixture.topic(), fixture.new_receipt()
    headers = {
        "SEND": [("destination", destination.name)],
        "SUBSCRIBE": [("id", "0"), ("destination", destination.name)],
        "BEGIN": [("transaction", "t")],
        "ACK": [("id", "m"), ("message-id", "m"), ("subscription", "0")],
    }[command]

    def provoke() -> StompClient:
        client = bench.stomp(connect=False)
        client.frame(command, [*headers, ("receipt", receipt)])
        return client

    def connect(client: StompClient, within: float) -> None:
        client.frame("CONNECT", connect_headers(bench))
        client.expect("CONNECTED", within=within)

    found = reaction(fixture, provoke, receipt, fence=connect, patience=SHORT_WAIT)
    # Behind a frame that was carried out the CONNECT may be refused as a second one: that ERROR names no receipt.
    is_named = found.error is not None and found.error.get("receipt-id") == receipt
    is_carried_out = bool(found.receipts) and not is_named
    seen = "carried out" if is_carried_out else "refused" if found.is_refusal else "ignored"
    bench.observe("STOMP-CONNECT-011", f"{command} before CONNECT is {seen}")
    if is_carried_out:
        bench.skip("STOMP-ERROR-009", f"the server accepts {command} before CONNECT")
    elif found.is_refusal or (fixture.has_receipts and found.served_later_frames and not found.is_accepted):
        judge_out_of_place(fixture, f"{command} before CONNECT", found.is_error_and_close, found)
        judge_refusal_rules(fixture, found, receipt)


@clauses("STOMP-CONNECT-012")
def test_a_second_connect(bench: Bench) -> None:
    """Recorded: what happens to it. A refusal should be an ERROR and the end of the connection."""
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
        judge_out_of_place(fixture, "a second CONNECT", found.is_error_and_close, found)
        judge_refusal_rules(fixture, found)


def judge_out_of_place(fixture: StompFixture, what: str, ok: bool, observed: object) -> None:
    """Judge how a well-formed frame was refused."""
    fixture.judge(
        "STOMP-ERROR-009", ok, expected=f"ERROR and the end of the connection for {what}", observed=observed
    )


@clauses("STOMP-CONNECT-013")
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_connect_gets_no_receipt(bench: Bench, command: str) -> None:
    """A `receipt` header on CONNECT or STOMP is ignored, or the attempt is refused."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()
    tried = try_connect(fixture, {"receipt": receipt}, command if bench.version != "1.0" else "CONNECT")
    if tried.connected is not None:
        fixture.fence(tried.client)
    came = tried.client.take("RECEIPT")
    bench.judge("STOMP-CONNECT-013", not came, expected=f"no RECEIPT for {command}", observed=came or "none")


@clauses("STOMP-LINGER-001")
def test_clients_come_and_go_quickly(bench: Bench) -> None:
    """Some hundred sessions in a row, then a few at once: each is opened and ended in time."""
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
            client.link.send_close()
        for client in clients:
            client.expect_end()
    except PeerFailure as failure:
        bench.judge("STOMP-LINGER-001", False, expected=f"{which} served", observed=failure.observed)
        raise
    bench.judge("STOMP-LINGER-001", True, expected=f"{which} served", observed="served")
