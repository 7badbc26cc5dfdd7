"""Upgrades from pages of others, and to other servers: SECURITY-ORIGIN-2, SECURITY-HOST-2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.websocket.test_handshake import upgrade

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("SECURITY-ORIGIN-2")
@pytest.mark.parametrize(
    "origin", ["https://{}.example", "http://{}.example:{port}", "{own}.{}.example", "null"]
)
def test_an_upgrade_from_another_origin_is_refused(bench: Bench, origin: str) -> None:
    """Send an upgrade with the Origin of another server; expect another status than 101."""
    own = f"http://{bench.target.host}"
    written = origin.format(bench.fresh("page"), own=own, port=bench.target.port)
    _expect_refused(bench, "SECURITY-ORIGIN-2", {"Origin": written})


@clauses("SECURITY-HOST-2")
@pytest.mark.parametrize("host", ["{}.example", "{}.example:{port}", "localhost.{}.example"])
def test_an_upgrade_to_another_host_is_refused(bench: Bench, host: str) -> None:
    """Send an upgrade whose Host is another server; expect another status than 101, also from a page of that server."""
    written = host.format(bench.fresh("host"), port=bench.target.port)
    _expect_refused(bench, "SECURITY-HOST-2", {"Host": written, "Origin": f"http://{written}"})


def _expect_refused(bench: Bench, clause: str, headers: dict[str, str]) -> None:
    reply = upgrade(bench, headers)
    shown = ", ".join(f"{name}: {value}" for name, value in headers.items())
    bench.judge(
        clause,
        reply is None or reply.status != 101,
        expected=f"another status than 101 for {shown}",
        observed=reply or "closed without a reply",
    )
