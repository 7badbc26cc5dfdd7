"""The upgrade to WebSocket: subprotocols, paths, versions and extensions."""

from __future__ import annotations

import base64
import itertools
import secrets
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_headers
from conformance.wire.failures import PeerFailure, UpgradeRefused
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.bench.bench import Bench
    from conformance.targets.target import Target
    from conformance.wire.http import HttpReply
    from conformance.wire.websocket import WebSocketLink

#: Registered subprotocol by version of STOMP (STOMP-WS-001).
NAMES = {"1.0": "v10.stomp", "1.1": "v11.stomp", "1.2": "v12.stomp"}
#: Statuses of an upgrade that is refused whatever its path: a login, a proxy, too many requests, a server that is away.
FOR_ANOTHER_REASON = (401, 407, 429, 502, 503, 504)
OFFERS = {
    "falling": ["v12.stomp", "v11.stomp", "v10.stomp"],
    "rising": ["v10.stomp", "v11.stomp", "v12.stomp"],
    "only-1.0": ["v10.stomp"],
    "only-1.1": ["v11.stomp"],
    "only-1.2": ["v12.stomp"],
    "with-unknown": ["x-nobody-knows", "v99.stomp", "v12.stomp", "v11.stomp", "v10.stomp"],
    "unknown-only": ["x-nobody-knows", "v99.stomp"],
    "none": [],
}


@clauses("STOMP-WS-020", "STOMP-WS-001")
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_a_subprotocol_is_selected_among_those_offered(bench: Bench, offer: Sequence[str]) -> None:
    """Offer subprotocols; expect one of them that the server supports, or none if there is none, and a connection."""
    offer = offer or bench.target.access.subprotocols
    supported = {NAMES[version] for version in bench.target.stomp_versions if version in NAMES} & set(offer)
    try:
        link = bench.websocket_link(subprotocols=offer)
    except PeerFailure as failure:
        bench.judge("STOMP-WS-020", True, expected="none that wasn't offered", observed=failure.observed)
        bench.judge("STOMP-WS-001", False, expected="the connection opened", observed=failure.observed)
        return
    selected = link.subprotocol
    version = next((version for version, name in NAMES.items() if name == selected), None)
    if version and selected not in supported and _speaks(bench, link, version):
        supported.add(NAMES[version])  # the server speaks more versions than the target lists
    bench.judge(
        "STOMP-WS-020",
        selected is None or selected in offer,
        expected=f"one of {offer}, or none" if offer else "none",
        observed=f"Sec-WebSocket-Protocol: {selected}",
    )
    bench.judge(
        "STOMP-WS-001",
        selected in supported if supported else selected is None,
        expected=f"one of {sorted(supported)}" if supported else "no subprotocol",
        observed=f"Sec-WebSocket-Protocol: {selected}" if selected else "none",
    )


def _speaks(bench: Bench, link: WebSocketLink, version: str) -> bool:
    """True if a session of `version` opens on the connection."""
    client = StompClient(link, version)
    client.frame("CONNECT", connect_headers(bench, {"accept-version": version}))
    try:
        connected = client.expect("CONNECTED")
    except PeerFailure:
        return False
    return (connected.get("version") or "1.0") == version


@clauses("STOMP-WS-002")
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_session_of_another_version_than_the_subprotocol(bench: Bench, version: str) -> None:
    """Send CONNECT for another version than the subprotocol; record if it is granted or refused. Both are allowed."""
    other = "1.0" if version == "1.2" else "1.2"
    if version not in bench.target.stomp_versions:
        bench.skip("STOMP-WS-002", f"the server doesn't speak {version}")
        return
    link = bench.websocket_link(subprotocols=[NAMES[other]])
    client = StompClient(link, version)
    client.frame("CONNECT", connect_headers(bench, {"accept-version": version}))
    try:
        connected = client.expect("CONNECTED")
        seen = f"a session of {connected.get('version') or '1.0'}"
    except PeerFailure:
        seen = "refused"
    bench.observe("STOMP-WS-002", f"{NAMES[other]} with accept-version:{version}: {seen}")


@clauses("WEBSOCKET-PATH-1")
def test_an_unknown_path_is_refused(bench: Bench) -> None:
    """Send an upgrade to a path that does not exist; expect another status than 101."""
    if bench.target.fact("serves_every_path"):
        bench.skip("WEBSOCKET-PATH-1", "the server serves every path")
        return
    path = f"/{bench.fresh('no-such-path')}"
    try:
        link: WebSocketLink | None = bench.websocket_link(path)
    except PeerFailure as failure:
        observed, link = failure.observed, None
        if isinstance(failure, UpgradeRefused) and failure.status in FOR_ANOTHER_REASON:
            bench.skip("WEBSOCKET-PATH-1", f"refused before the path was looked at: {observed}")
            return
        # Only next to an upgrade that is accepted a refusal has to do with the path.
        bench.websocket_link()
    else:
        observed = "101 Switching Protocols"
    bench.judge(
        "WEBSOCKET-PATH-1", link is None, expected=f"another status than 101 on {path}", observed=observed
    )


def upgrade(bench: Bench, headers: Mapping[str, str]) -> HttpReply | None:
    """Reply to an upgrade with these headers besides the usual ones, or in their place.

    None if the connection was closed without a reply. Raises PeerFailure if neither happens.
    """
    target = bench.target
    merged = target.access.with_headers({**_usual_headers(target), **headers})
    lines = [f"GET {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in merged.items()), "", ""]
    return bench.websocket_host().raw("\r\n".join(lines).encode())


def _usual_headers(target: Target) -> dict[str, str]:
    """Headers of an upgrade, but for those that the user gives."""
    usual = {
        "Host": f"{target.host}:{target.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Origin": f"http://{target.host}:{target.port}",
    }
    own = {name.lower() for name in target.access.headers}
    return {name: value for name, value in usual.items() if name.lower() not in own}


#: Headers of an upgrade as RFC 6455 lets a client write them, by what is odd about them.
SPELLINGS: dict[str, dict[str, str]] = {
    "usual": {},
    "several options": {"Connection": "keep-alive, Upgrade"},
    "options in lower case": {"Connection": "keep-alive,upgrade"},
    "options in lines of their own": {"Connection": "keep-alive\r\nConnection: Upgrade"},
    "the protocol in mixed case": {"Upgrade": "WebSocket"},
    "the option in upper case": {"Connection": "UPGRADE", "Upgrade": "WEBSOCKET"},
    "an offer of compression": {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    "an offer of what nobody knows": {"Sec-WebSocket-Extensions": "x-nobody-knows; a=1, x-neither"},
    "what browsers send": {
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Accept": "*/*",
        "Accept-Language": "en-US,en;q=0.5",
        "Accept-Encoding": "gzip, deflate, br",
        "Pragma": "no-cache",
        "Cache-Control": "no-cache",
        "Cookie": "a=1; b=2",
        "Sec-Fetch-Mode": "websocket",
    },
}


@clauses("WEBSOCKET-UPGRADE-1")
@pytest.mark.parametrize("headers", SPELLINGS.values(), ids=SPELLINGS)
def test_an_upgrade_may_be_spelled_otherwise(bench: Bench, headers: Mapping[str, str]) -> None:
    """Send an upgrade whose Connection has further options, or whose tokens are in another case; expect 101."""
    reply = upgrade(bench, headers)
    if headers and (reply is None or reply.status != 101):
        usual = upgrade(bench, {})
        if usual is None or usual.status != 101:
            bench.skip("WEBSOCKET-UPGRADE-1", f"the usual upgrade is refused as well: {usual}")
            return
    bench.judge(
        "WEBSOCKET-UPGRADE-1",
        reply is not None and reply.status == 101,
        expected=f"101 for an upgrade with {dict(headers) or 'the usual headers'}",
        observed=reply or "closed without a reply",
    )


@clauses("WEBSOCKET-UPGRADE-1")
def test_an_upgrade_may_come_behind_another_request(bench: Bench) -> None:
    """Send a GET and then an upgrade over one connection; expect 101, if the connection is kept open."""
    client = bench.websocket_host()
    try:
        first = client.request("GET", "/capabilities")
    except PeerFailure as failure:
        bench.skip("WEBSOCKET-UPGRADE-1", f"the server answers no GET: {failure.observed}")
        return
    if first.closes or not client.is_open:
        bench.skip("WEBSOCKET-UPGRADE-1", f"the connection ends behind a GET: {first.status}")
        return
    reply = client.request("GET", bench.target.path, None, _usual_headers(bench.target))
    alone = upgrade(bench, {})
    if alone is None or alone.status != 101:
        bench.skip("WEBSOCKET-UPGRADE-1", f"the usual upgrade is refused as well: {alone}")
        return
    bench.judge(
        "WEBSOCKET-UPGRADE-1", reply.status == 101, expected="101 behind another request", observed=reply
    )


@clauses("STOMP-WS-001")
def test_an_offer_may_be_spelled_otherwise(bench: Bench) -> None:
    """Offer a known subprotocol and an unknown one, in both orders, in two headers, or in one with a comma and any
    blanks between them; expect the known one.
    """
    known = NAMES[max(version for version in bench.target.stomp_versions if version in NAMES)]
    orders = [known, "x-nobody-knows"], ["x-nobody-knows", known]
    for names, between in itertools.product(orders, ("\r\nSec-WebSocket-Protocol: ", ",", " ,\t")):
        reply = upgrade(bench, {"Sec-WebSocket-Protocol": between.join(names)})
        if reply is None or reply.status != 101:
            bench.skip("STOMP-WS-001", f"an upgrade that offers {between.join(names)!r} is refused: {reply}")
            return
        selected = reply.headers.get("sec-websocket-protocol")
        bench.judge(
            "STOMP-WS-001",
            selected == known,
            expected=f"{known}, one of {between.join(names)!r}",
            observed=f"{reply}, Sec-WebSocket-Protocol: {selected}",
        )


@clauses("WEBSOCKET-VERSION-1", "WEBSOCKET-VERSION-2")
@pytest.mark.parametrize("version", ["99", "255"])
def test_an_unknown_websocket_version_is_refused(bench: Bench, version: str) -> None:
    """Send an upgrade with an unknown WebSocket version; expect no 101, and preferably 426 with a supported version.

    Versions below 13 are those of drafts, which some servers support as well.
    """
    reply = upgrade(bench, {"Sec-WebSocket-Version": version})
    observed = f"{reply} {dict(reply.headers)}" if reply else "closed without a reply"
    bench.judge(
        "WEBSOCKET-VERSION-1",
        reply is None or reply.status != 101,
        expected="another status than 101",
        observed=observed,
    )
    bench.judge(
        "WEBSOCKET-VERSION-2",
        reply is not None
        and reply.status == 426
        and any(digit.isdigit() for digit in reply.headers.get("sec-websocket-version", "")),
        expected="426 and a Sec-WebSocket-Version that the server supports",
        observed=observed,
    )


@clauses("STOMP-WS-017")
def test_compression(bench: Bench) -> None:
    """Offer permessage-deflate in the upgrade; record the answer. The server may accept or ignore it."""
    reply = upgrade(bench, {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
    selected = reply.headers.get("sec-websocket-extensions") if reply else None
    refused = reply is None or reply.status != 101
    bench.observe(
        "STOMP-WS-017",
        "an upgrade that offers compression is refused"
        if refused
        else f"selected: {selected or 'no compression'}",
    )
