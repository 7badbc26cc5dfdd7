"""Secrets that a server repeats where the suite cuts what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.command.gateway import Gateway, Request, answer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

TOKEN = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"


@pytest.mark.parametrize("left", [5, 20])
def test_no_part_of_a_token_is_shown(
    conformance: Command, server_url: str, tmp_path: Path, left: int
) -> None:
    """A reply whose shown beginning ends within a token: neither output nor report has the token's first part."""

    def decide(request: Request) -> Request | bytes:
        if request.path.endswith("/heartbeat"):
            return answer("500 Internal Server Error", "x" * (500 - left) + f"{TOKEN} was sent")
        return request

    with Gateway(urlsplit(server_url).port or 0, decide) as gateway:
        ended = conformance(
            f"ws://127.0.0.1:{gateway.port}/stomp",
            *("--class", "queue-http", "--clause", "LIVE-BEAT-1", "--effort", "quick"),
            *(
                "--header",
                f"Authorization: Bearer {TOKEN}",
                "--verbose",
                "--report",
                str(tmp_path / "report"),
            ),
        )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    written = [path.read_text("utf-8") for path in (tmp_path / "report").rglob("*") if path.is_file()]
    assert len(written) > 3
    for text in (ended.stdout, ended.stderr, *written):
        assert TOKEN[:4] not in "".join(text.split())
