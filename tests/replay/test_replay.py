"""Replay of failures as processes: on the faulty broker they fail again, on the reference server they do not."""

from __future__ import annotations

import http.server
import json
import shlex
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from conformance.specification import schemas
from tests.mutants.processes import served
from tests.mutants.registry import faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND_SECONDS = 120.0
#: Faults of different kinds.
FAULTS = {
    "unknown-paths-are-bad-requests": "an HTTP status",
    "lines-of-a-message-end-with-cr-lf": "octets of a frame",
    "a-nack-is-not-receipted": "silence, behind ids of the server",
    "a-malformed-frame-ends-without-a-word": "a closed connection",
    "the-connection-stays-open-after-an-error": "an open connection",
    "a-message-follows-an-error": "a frame behind an ERROR, and the end of the connection",
    "an-acknowledgement-commits-nothing": "a state that a model reaches, too",
    "who-owns-nothing-is-not-evicted": "a virtual clock",
    "an-upgrade-succeeds-on-every-path": "an upgrade",
    "beats-are-sent-to-who-wants-none": "heart-beats",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def judged(url: str, name: str, folder: Path) -> list[Path]:
    """Files of the failures that a fault shows, the shortest first."""
    fault = faults()[name]
    classes = [word for binding in fault.bindings for word in ("--class", binding)]
    ended = run(
        url,
        *classes,
        "--clause",
        fault.breaks[0],
        "--effort",
        fault.effort,
        "--report",
        str(folder),
        *fault.options,
    )
    files = list((folder / "failures").glob(f"{fault.breaks[0]}-*.jsonl"))
    assert files, ended.stdout + ended.stderr
    # Records of concurrent clients are the longest ones, and not the same twice.
    return sorted(files, key=lambda file: len(file.read_bytes()))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A web server that logs nothing."""

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def reference_url() -> Iterator[str]:
    """A reference server with a virtual clock, in a process of its own."""
    from conformance.targets.server_process import running_server

    with running_server(f"{sys.executable} -m reference_server --port 0 --virtual-clock") as url:
        yield url


@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_comes_again_on_the_faulty_broker_alone(
    name: str, reference_url: str, tmp_path: Path
) -> None:
    with served(name, faults()[name].flags) as url:
        file = judged(url, name, tmp_path)[0]
        again = run("replay", str(file), url)
        assert (again.returncode, again.stdout[:11]) == (1, "FAILS AGAIN"), again.stdout + again.stderr
        mended = run("replay", str(file), reference_url)
        assert mended.returncode == 0, mended.stdout + mended.stderr
        assert mended.stdout.startswith("DOES NOT FAIL ANY MORE")


def test_the_printed_command_sends_the_failure_again(tmp_path: Path) -> None:
    name = "an-upgrade-succeeds-on-every-path"
    with served(name, faults()[name].flags) as url:
        ended = run(url, "--clause", "WEBSOCKET-PATH-1", "--report", str(tmp_path / "a folder"))
        command = ended.stdout.split("The same octets once more:\n", 1)[1].split("\n\n")[0]
        words = shlex.split(command.replace("\\\n", ""))
        assert words[:4] == ["python", "-m", "conformance", "replay"]
        again = run(*words[3:])
        assert again.returncode == 1, again.stdout + again.stderr


@pytest.fixture(scope="module")
def failure_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a failure, whose broker has ended."""
    name = "an-acknowledgement-commits-nothing"
    with served(name, faults()[name].flags) as url:
        return judged(url, name, tmp_path_factory.mktemp("report"))[0]


def test_each_line_is_as_its_schema_has_it(failure_file: Path) -> None:
    header, *events = map(json.loads, failure_file.read_text("utf-8").splitlines())
    for document in (header, *events):
        assert not schemas.problems("failure-record", document), document
    assert header["clause"] == "ACK-COMMIT-1"
    assert header["token"] in json.dumps(events)


def test_where_nobody_listens_it_cannot_be_sent(failure_file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        ended = run("replay", str(failure_file), f"ws://127.0.0.1:{taken.getsockname()[1]}/stomp")
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert ended.stdout.startswith("CAN'T BE SENT")
    assert "nobody answers" in ended.stdout


def test_a_server_that_answers_otherwise_before_is_no_proof(failure_file: Path) -> None:
    """A server that refuses the first operation says nothing about the failure."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    ended = run("replay", str(failure_file), f"ws://127.0.0.1:{server.server_address[1]}/stomp")
    server.shutdown()
    server.server_close()
    thread.join()
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "501" in ended.stdout  # the answer of a web server to POST
    assert "The failure came later" in ended.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1"),
        ("no json\n", "line 1"),
        ("{}\n", "line 1"),
        ("[" * 100_000, "line 1"),
        ('{"at": 0, "connection": "a", "what": "open"}\n', "header"),
    ],
)
def test_another_file_is_wrong_usage(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text(text)
    ended = run("replay", str(file), "ws://127.0.0.1:1/")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert said in ended.stderr
    assert str(file) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_missing_is_wrong_usage(tmp_path: Path) -> None:
    ended = run("replay", str(tmp_path / "none.jsonl"), "ws://127.0.0.1:1/")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "none.jsonl" in ended.stderr


def test_help_says_how_it_is_known() -> None:
    ended = run("replay", "--help")
    assert ended.returncode == 0
    for word in ("FAILS AGAIN", "DOES NOT FAIL ANY MORE", "CAN'T BE SENT", "status 4", "not run"):
        assert word in ended.stdout
