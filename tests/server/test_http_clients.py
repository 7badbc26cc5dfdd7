"""HTTP clients that ask for HTTP/2 with each request, against a real server: curl and Java's own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import Http

if TYPE_CHECKING:
    from reference_server.server import Server

PROGRAM = Path(__file__).with_name("Upgrades.java")
SECONDS = 120.0
LARGE = 100_000


def run(*command: str, said: bytes = b"") -> str:
    """Run a program to its end; returns its output."""
    ended = subprocess.run(command, input=said, capture_output=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.decode()


def needs(*command: str) -> str:
    """Return the path of a program that can be run; skips the test if there is none."""
    path = shutil.which(command[0])
    if path is None:
        pytest.skip(f"there is no {command[0]} here")
    if subprocess.run([path, *command[1:]], capture_output=True, timeout=SECONDS, check=False).returncode:
        pytest.skip(f"`{' '.join(command)}` fails here")
    return path


@pytest.fixture
def curl() -> str:
    path = needs("curl", "--version")
    if "HTTP2" not in run(path, "--version"):
        pytest.skip("this curl was built without HTTP/2")
    return path


def post(curl: str, server: Server, path: str, body: bytes, *options: str) -> tuple[int, dict[str, object]]:
    """POST with `curl --http2`; returns the status and the body."""
    url = f"http://127.0.0.1:{server.port}{path}"
    form = ("-sS", "--http2", "-w", "\n%{http_code}", "-H", "Content-Type: application/json", "-d", "@-")
    answer, _, status = run(curl, *form, *options, url, said=body).rpartition("\n")
    return int(status), json.loads(answer)


@pytest.mark.parametrize("options", [(), ("-H", "Transfer-Encoding: chunked")], ids=["length", "chunked"])
def test_curl(server: Server, curl: str, options: tuple[str, ...]) -> None:
    """Each operation is performed once, with a small body and with a large one, which asks for 100 Continue."""
    assert post(curl, server, "/topic/add-topic", b'{"topicName":"news"}', *options)[0] == 200
    assert post(curl, server, "/topic/add-topic", b'{"topicName":"news"}', *options)[0] == 409
    large = json.dumps({"messageID": 1, "message": "x" * LARGE * 20}).encode()
    for _ in range(2):
        assert post(curl, server, "/publish/news", large, *options)[0] == 413
        assert post(curl, server, "/publish/news", large[: LARGE // 10] + b'"}', *options)[0] == 200
    with Http.to(server) as client:
        ends = [partition["endOffset"] for partition in client.get("/topics/news").json["partitions"]]
    assert sum(ends) == 2


def test_curl_asks_twice_on_one_connection(server: Server, curl: str) -> None:
    """Two requests that ask for HTTP/2 on one connection are both answered in HTTP/1.1."""
    urls = [f"http://127.0.0.1:{server.port}{path}" for path in ("/health", "/topics")]
    versions = run(
        curl, "-sS", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}\n", *urls[:1]
    )
    assert versions == "1.1 200\n"
    both = run(curl, "-sS", "--http2", *urls)
    assert both.startswith('{"status":"ok"')
    assert both.endswith('{"topics":[]}')


def test_java(server: Server) -> None:
    """Java's HttpClient, which asks for h2c with each request: operations, documents, and a WebSocket."""
    # A runtime without a compiler cannot run a program from its source.
    java = needs("java", "--list-modules")
    if "jdk.compiler" not in run(java, "--list-modules"):
        pytest.skip("this Java has no compiler")
    lines = run(java, str(PROGRAM), f"127.0.0.1:{server.port}").splitlines()
    statuses = [line.split(" ")[:2] for line in lines[:5]]
    assert statuses == [[status, "HTTP_1_1"] for status in ("200", "409", "200", "200", "200")]
    assert json.loads(lines[0].split(" ", 2)[2])["topicName"] == "news"
    assert json.loads(lines[4].split(" ", 2)[2])["status"] == "ok"
    assert lines[5:] == ["CONNECTED v12.stomp"]
    with Http.to(server) as client:
        ends = [partition["endOffset"] for partition in client.get("/topics/news").json["partitions"]]
    assert sum(ends) == 2
