"""@stomp/stompjs, the most used JavaScript client, in Node.

The packages are installed once for a run, in a temporary folder. Where there is no Node, or no way to the packages,
the test is skipped and says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Serve

SCRIPT = Path(__file__).with_name("stompjs_client.mjs")
PACKAGES = ["@stomp/stompjs@7", "ws@8"]
INSTALL_SECONDS = 90
RUN_SECONDS = 60


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the client beside which its packages are installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("stompjs")
    (folder / "package.json").write_text('{"private":true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", *PACKAGES]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not get the packages within {INSTALL_SECONDS} s")
    if done.returncode:
        pytest.skip(f"npm cannot install the packages: {done.stderr.strip()[-300:]}")
    return Path(shutil.copy(SCRIPT, folder))


def test_stompjs(serve: Serve, script: Path) -> None:
    """Connect, subscribe, send, ACK, NACK, transactions, binary bodies, heart-beats, DISCONNECT."""
    server = serve(heartbeat_interval=0.02)
    done = subprocess.run(
        ["node", str(script), server.url], capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (steps, done.stderr)
    assert steps == [
        {"step": "connected", "version": "1.2", "protocol": "v12.stomp"},
        {"step": "message", "body": "grüße: 日本"},
        {"step": "redelivered", "body": "grüße: 日本", "redelivered": "true"},
        {"step": "binary", "octets": [0, 255, 10, 0, 1], "x": "a:b\\d\ne"},
        {"step": "transacted", "body": "commit"},
        {"step": "beats"},
        {"step": "end"},
    ]
