"""Requests over HTTP that do not belong to the server: SECURITY-*."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.fixture import ADD_GROUP, REGISTER
from conformance.targets.secrets import basic_of
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.http import HttpReply

_END = b"\r\n\r\n"
_NO_LOGIN = "no login is given, or the server opens sessions without one"
#: Media types that a page may send anywhere without asking, and others that are not JSON.
OTHER_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/json",
    None,
]
UPGRADES = {
    "h2c": [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ],
    "websocket": ["Connection: Upgrade", "Upgrade: websocket"],
    "unknown": ["Connection: keep-alive, upgrade", "Upgrade: nobody-knows/1"],
}


@dataclass
class GroupRequest:
    """A request that adds a group of a fresh name, with a header changed, and a check whether the group was added."""

    bench: Bench

    def __post_init__(self) -> None:
        target = self.bench.target
        self.host = target.http_host.authority
        self.group = self.bench.fresh("group")
        self.body = json.dumps({"consumer_group_name": self.group}).encode()
        login = basic_of(target.login, target.passcode or "") if target.login else None
        self._usual = {"Host": self.host, "Content-Type": "application/json", "Authorization": login}

    def octets(
        self,
        path: str = ADD_GROUP,
        body: bytes | None = None,
        /,
        *,
        more: Sequence[str] = (),
        **changed: str | None,
    ) -> bytes:
        """Octets of a request, with `more` lines of its head; underscores of names stand for hyphens, None removes."""
        body = self.body if body is None else body
        fields = self._usual | {name.replace("_", "-"): value for name, value in changed.items()}
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        if not any("chunked" in line for line in more):
            lines.append(f"Content-Length: {len(body)}")
        return (
            "\r\n".join([f"POST {self.bench.target.access.http_path(path)} HTTP/1.1", *lines, *more]).encode()
            + _END
            + body
        )

    def send(self, *, more: Sequence[str] = (), **changed: str | None) -> HttpReply | None:
        """Reply to such a request on a connection of its own; None if there is none."""
        return self.bench.http().raw(self.octets(ADD_GROUP, None, more=more, **changed))

    def was_performed(self) -> bool:
        """True if the group exists."""
        names = {"consumer_group_name": self.group, "consumer_name": self.bench.fresh("consumer")}
        reply = self.bench.http().raw(self.octets(REGISTER, json.dumps(names).encode()))
        return reply is not None and reply.status == 200

    def expect_refused(self, clause: str, reply: HttpReply | None, because: str) -> None:
        """Judge `clause` by a refusal (4xx), and by the group not having been added."""
        expect_refusal(self.bench, reply, clause, because)
        self.bench.judge(
            clause,
            not self.was_performed(),
            expected=f"nothing performed: {because}",
            observed=f"{reply}, and the group was added",
        )


def _needs_login(bench: Bench) -> bool:
    """True if a login is known, and CONNECT without it is refused."""
    target = bench.target
    if target.login is None:
        return False
    try:
        bench.stomp(version=max(target.stomp_versions), headers={"login": None, "passcode": None})
    except PeerFailure:
        return True
    return False


@clauses("SECURITY-LOGIN-1", "SECURITY-LOGIN-2", "SECURITY-LOGIN-3")
def test_an_operation_needs_a_login(bench: Bench) -> None:
    """Add a group, and read, with the right login, with none and with wrong ones; expect the right one served only."""
    login, passcode = bench.target.login or "", bench.target.passcode or ""
    if not _needs_login(bench):
        for clause in ("SECURITY-LOGIN-1", "SECURITY-LOGIN-2", "SECURITY-LOGIN-3"):
            bench.skip(clause, _NO_LOGIN)
        return
    tried = {
        "no login": None,
        "a wrong passcode": basic_of(login, f"not-{passcode}"),
        "the beginning of the passcode": basic_of(login, passcode[:-1]),
        "no passcode": basic_of(login, ""),
        "an unknown login": basic_of(bench.fresh("nobody"), passcode),
        "another scheme": f"Bearer {passcode}",
        "the passcode and more": basic_of(login, f"{passcode}x"),
        "the passcode between blanks": basic_of(login, f" {passcode} "),
    }
    if passcode != passcode.swapcase():
        tried["the passcode in another case"] = basic_of(login, passcode.swapcase())
    for what, authorization in tried.items():
        request = GroupRequest(bench)
        reply = request.send(Authorization=authorization)
        request.expect_refused("SECURITY-LOGIN-1", reply, what)
        bench.judge(
            "SECURITY-LOGIN-2",
            reply is not None and reply.status == 401 and "www-authenticate" in reply.headers,
            expected=f"401 with WWW-Authenticate for {what}",
            observed=reply,
        )
        if bench.declares("introspection"):
            octets = f"GET {bench.target.access.http_path('/topics')} HTTP/1.1\r\nHost: {request.host}"
            octets += f"\r\nAuthorization: {authorization}" if authorization else ""
            expect_refusal(
                bench, bench.http().raw(octets.encode() + _END), "SECURITY-LOGIN-1", f"{what}, to read"
            )
    right = basic_of(login, passcode)
    first, second = GroupRequest(bench), GroupRequest(bench)
    replies = bench.http().exchange(first.octets(Authorization=right) + second.octets(Authorization=None), 2)
    if len(replies) > 1:
        because = "no login, behind a request with the right one on its connection"
        second.expect_refused("SECURITY-LOGIN-1", replies[1], because)
    for authorization in (right, right.replace("Basic", "basic"), right.replace("Basic", "BASIC")):
        reply = GroupRequest(bench).send(Authorization=authorization)
        bench.judge(
            "SECURITY-LOGIN-3",
            reply is not None and reply.status == 200,
            expected=f"200 for {authorization.split()[0]} authentication with the login and passcode of CONNECT",
            observed=reply,
        )


@clauses("SECURITY-ORIGIN-1")
@pytest.mark.parametrize(
    "origin", ["https://{}.example", "http://{}.example:{port}", "{own}.{}.example", "null"]
)
def test_a_page_of_another_origin_is_refused(bench: Bench, origin: str) -> None:
    """Send a request with the Origin of another server; expect a refusal (4xx), and the operation not performed."""
    request = GroupRequest(bench)
    own = f"http://{bench.target.host}"
    written = origin.format(bench.fresh("page"), own=own, port=bench.target.port)
    request.expect_refused("SECURITY-ORIGIN-1", request.send(Origin=written), f"Origin: {written}")


@clauses("SECURITY-HOST-1")
@pytest.mark.parametrize("host", ["{}.example", "{}.example:{port}", "localhost.{}.example"])
def test_another_host_is_refused(bench: Bench, host: str) -> None:
    """Send a request whose Host is another server; expect a refusal (4xx), and the operation not performed."""
    request = GroupRequest(bench)
    written = host.format(bench.fresh("host"), port=bench.target.port)
    request.expect_refused("SECURITY-HOST-1", request.send(Host=written), f"Host: {written}")


@clauses("SECURITY-HOST-3")
@pytest.mark.parametrize("hosts", ["none", "twice the own", "another behind", "another before"])
def test_a_request_has_one_host(bench: Bench, hosts: str) -> None:
    """Send a request without Host, or with two; expect a refusal (4xx), and the operation not performed."""
    request = GroupRequest(bench)
    own, other = f"Host: {request.host}", f"Host: {bench.fresh('host')}.example"
    lines = {
        "none": [],
        "twice the own": [own, own],
        "another behind": [own, other],
        "another before": [other, own],
    }
    reply = request.send(Host=None, more=lines[hosts])
    request.expect_refused("SECURITY-HOST-3", reply, f"Host headers: {hosts}")


@clauses("SECURITY-TYPE-1", "SECURITY-TYPE-2")
@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_another_media_type_is_refused(bench: Bench, kind: str | None) -> None:
    """Send an operation whose body is declared as something else than JSON, or not at all; expect a refusal (4xx), and
    the operation not performed.
    """
    request = GroupRequest(bench)
    reply = request.send(Content_Type=kind)
    request.expect_refused("SECURITY-TYPE-1", reply, f"Content-Type: {kind}")
    bench.judge("SECURITY-TYPE-2", reply is not None and reply.status == 415, expected="415", observed=reply)


@clauses("SECURITY-UPGRADE-1", "SECURITY-UPGRADE-2")
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_declined_upgrade_keeps_its_body(bench: Bench, upgrade: str, chunked: bool) -> None:
    """Send a POST that asks for an upgrade, once with the body of an operation and once with one that has the form of a
    request; expect the operation performed, and the request in the body not.
    """
    hidden, plain = GroupRequest(bench), GroupRequest(bench)
    for request, body in ((hidden, hidden.octets()), (plain, plain.body)):
        more = list(UPGRADES[upgrade])
        if chunked:
            more.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        replies = bench.http().exchange(request.octets(ADD_GROUP, body, more=more), replies=1)
        reply = replies[0] if replies else None
        if reply is not None and reply.status == 101:
            for clause in ("SECURITY-UPGRADE-1", "SECURITY-UPGRADE-2"):
                bench.skip(clause, f"the server switches to {upgrade}")
            return
        performed = request.was_performed()
        if request is hidden:
            bench.judge(
                "SECURITY-UPGRADE-1",
                not performed,
                expected="the body taken for a body",
                observed=f"{reply}, and the request in the body performed",
            )
        else:
            bench.judge(
                "SECURITY-UPGRADE-2",
                performed and reply is not None and reply.status == 200,
                expected="200, and the group added",
                observed=f"{reply or 'no reply'}; the group was {'' if performed else 'not '}added",
            )
