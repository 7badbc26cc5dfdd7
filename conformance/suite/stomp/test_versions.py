"""The version of a session, and its rules: STOMP-NEG-*."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import try_connect
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.reactions import expect_malformed, judge_refusal_rules, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.targets.target import STOMP_VERSIONS
from conformance.wire.frames import BadFrame

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.attempts import ConnectAttempt
    from conformance.wire.stomp import StompClient

UNKNOWN = ("0.9", "1.3", "2.0", "9.9")


@clauses("STOMP-NEG-001")
def test_the_highest_common_version_is_chosen(bench: Bench) -> None:
    """Send `accept-version` lists in any order, also with unknown versions; expect the highest common version."""
    fixture = StompFixture(bench)
    spoken = [
        version
        for version in STOMP_VERSIONS
        if _version_of(try_connect(fixture, {"accept-version": version})) == version
    ]
    offers = [offer for size in (2, 3) for offer in itertools.permutations(STOMP_VERSIONS, size)]
    offers += [(version, other) for version in STOMP_VERSIONS for other in UNKNOWN]
    offers += [(other, version) for version in STOMP_VERSIONS for other in UNKNOWN]
    for offer in offers:
        common = [version for version in spoken if version in offer]
        if not common:
            continue
        tried = try_connect(fixture, {"accept-version": ",".join(offer)})
        bench.judge(
            "STOMP-NEG-001",
            _version_of(tried) == max(common),
            expected=f"version:{max(common)} for accept-version:{','.join(offer)}",
            observed=tried,
        )
        tried.client.close()
    if not spoken:
        bench.skip("STOMP-NEG-001", "the server accepts no version that is offered alone")


def _version_of(tried: ConnectAttempt) -> str | None:
    """The version of the session that was opened; None after a refusal."""
    return None if tried.connected is None else tried.connected.get("version") or "1.0"


@clauses("STOMP-NEG-003", "STOMP-NEG-005", "STOMP-NEG-004")
@pytest.mark.parametrize("offer", ["9.9", "0.9,1.9,9.9", "1.10,11.2,1.0.1"])
def test_no_version_in_common(bench: Bench, offer: str) -> None:
    """Send `accept-version:9.9`; expect an ERROR with the server's versions as `version`, and the end after it."""
    fixture = StompFixture(bench)
    tried = try_connect(fixture, {"accept-version": offer})
    found = tried.refusal
    fixture.judge(
        "STOMP-NEG-005",
        found.error is not None,
        expected=f"an ERROR for accept-version:{offer}",
        observed=tried,
    )
    if found.error is None:
        bench.skip("STOMP-NEG-004", "there was no ERROR for want of a common version")
    else:
        listed = [version.strip() for version in (found.error.get("version") or "").split(",")]
        bench.judge(
            "STOMP-NEG-004",
            bool(set(listed) & set(STOMP_VERSIONS)),
            expected="a version header that lists the versions of the server",
            observed=found.error.octets,
        )
    fixture.judge(
        "STOMP-NEG-003",
        found.is_error_and_close,
        expected=f"ERROR and the end of the connection for accept-version:{offer}",
        observed=tried,
    )
    judge_refusal_rules(fixture, found)


@clauses("STOMP-NEG-002")
def test_the_pair_for_cr_belongs_to_1_2(bench: Bench) -> None:
    r"""Send `note:a\rb`, as a pair; expect CR in the MESSAGE in 1.2, and the end of the connection in 1.1."""
    fixture = StompFixture(bench)
    offer = "1.0,1.1" if bench.version == "1.1" else "1.0,1.1,1.2"
    loopback = Loopback(fixture, fixture.client(accept_version=offer))
    octets = loopback.octets(b"SEND\nnote:a\\rb\n<destination>\n\nbody\0", version=bench.version)
    if bench.version == "1.2":
        loopback.client.send_octets(octets)
        message = loopback.expect_message("STOMP-NEG-002")
        bench.judge(
            "STOMP-NEG-002",
            message.get("note") == "a\rb",
            expected="CR for its pair",
            observed=message.octets,
        )
        return

    def provoke() -> StompClient:
        client = fixture.client(accept_version=offer)
        client.send_octets(octets)
        return client

    expect_malformed(fixture, "STOMP-NEG-002", provoke, expected="the pair for CR is undefined in 1.1")


@clauses("STOMP-NEG-002")
def test_an_acknowledgement_has_the_headers_of_its_version(bench: Bench) -> None:
    """Send ACK with `id` in 1.2, with `message-id` and `subscription` in 1.1; expect no ERROR."""
    fixture = StompFixture(bench)

    def provoke() -> StompClient:
        client = fixture.client(accept_version="1.0,1.1" if bench.version == "1.1" else "1.0,1.1,1.2")
        subscription = fixture.active_subscription(client, fixture.queue(), ack="client-individual")
        fixture.send(client, subscription.destination, "body")
        client.ack(fixture.expect_message(subscription))
        return client

    found = reaction(fixture, provoke)
    bench.judge(
        "STOMP-NEG-002",
        not found.is_refusal and found.served_later_frames,
        expected=f"an ACK with the headers of {bench.version} taken",
        observed=found,
    )


@clauses("STOMP-NEG-002")
@pytest.mark.parametrize("value", ["a\\tb", "a\\", "\\x\\y", "a\\nb"], ids=repr)
def test_a_backslash_is_an_octet_on_sessions_of_1_0(bench: Bench, value: str) -> None:
    r"""Send `accept-version:1.0`, then `note:a\tb`; expect the same octets in the MESSAGE, and no ERROR."""
    fixture = StompFixture(bench)
    tried = try_connect(fixture, {"accept-version": "1.0"})
    if _version_of(tried) != "1.0":
        bench.skip("STOMP-NEG-002", "the server doesn't speak 1.0")
        return
    loopback = Loopback(fixture, tried.client)
    loopback.send_octets(b"SEND\nnote:<value>\n<destination>\n\nbody\0", version="1.0", value=value)
    try:
        message = loopback.expect_message(
            "STOMP-NEG-002", expected="the message with a backslash in a header"
        )
    except BadFrame as bad:  # a pair that was decoded can't be written on this session
        bench.judge("STOMP-NEG-002", False, expected=f"note:{value} as it was sent", observed=bad.observed)
        raise
    bench.judge(
        "STOMP-NEG-002",
        f"\nnote:{value}\n".encode() in message.octets,
        expected=f"note:{value} as it was sent",
        observed=message.octets,
    )


@clauses("STOMP-NEG-002")
def test_each_session_gets_headers_by_its_own_rules(bench: Bench) -> None:
    r"""Send `note:a\nb` on a session of 1.0; expect `note:a\\nb` on one of a later version."""
    fixture = StompFixture(bench)
    sender = try_connect(fixture, {"accept-version": "1.0"})
    if _version_of(sender) != "1.0":
        bench.skip("STOMP-NEG-002", "the server doesn't speak 1.0")
        return
    loopback = Loopback(fixture)
    sender.client.send_octets(loopback.octets(b"SEND\nnote:a\\nb\n<destination>\n\nbody\0", version="1.0"))
    message = loopback.expect_message("STOMP-NEG-002")
    bench.judge(
        "STOMP-NEG-002",
        message.get("note") == "a\\nb",
        expected="note:a\\\\nb on the wire, which means a backslash and an n",
        observed=message.octets,
    )
