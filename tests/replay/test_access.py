"""Replay at servers that want headers, logins, tokens, prefixes: no file holds them, each replay sends them."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.command import odd_servers
from tests.command.gateway import Gateway, Request, answer
from tests.command.test_access import written
from tests.command.test_once_more import in_shell, printed
from tests.mutants.processes import served
from tests.mutants.registry import faults
from tests.replay.test_replay import reference_url, run

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["reference_url"]

#: Secrets of the user and the server, by the environment variable that gives it again.
SECRETS = {
    "STOMPLIANCE_USER": "bob:hunter%40two",
    "STOMPLIANCE_QUERY_TOKEN": "T0k-98765",
    "STOMPLIANCE_HEADER_X_API_KEY": 'key "13579"\\2',
    "STOMPLIANCE_CONNECT_HEADER_CLIENT_SECRET": "cs:24680",
    "STOMPLIANCE_PASSCODE": "wörd:it's",
}
#: Texts of which none may be in any output: the secrets, and other forms of them.
FORMS = (
    *("hunter", "Ym9iOmh1bnRlckB0d28", "T0k-98765", "13579", "24680", "rd:it", "r%C3%B6d", "rd\\cit"),
    *("wörd", "w\\xc3"),
)
CREDENTIALS = "Basic Ym9iOmh1bnRlckB0d28="
CLAUSES = (
    *("--class", "stomp-1.2", "--class", "queue-http"),
    *("--clause", "STOMP-RECEIPT-001", "--clause", "STOMP-ERROR-001", "--clause", "GROUP-ADD-1"),
    *(
        "--clause",
        "HTTP-CHUNKED-1",
        "--clause",
        "HTTP-PIPE-1",
        "--clause",
        "STOMP-WS-001",
        "--effort",
        "quick",
    ),
)


def echoing(piece: int) -> Callable[[socket.socket], None]:
    """Server that tells each client what it has sent, in writes of `piece` octets; strangers get 401."""

    def serve(client: socket.socket) -> None:
        head = odd_servers.read_head(client)
        text = head.decode("latin-1")
        given = (f"Authorization: {CREDENTIALS}", SECRETS["STOMPLIANCE_HEADER_X_API_KEY"], "token=T0k-98765")
        if not all(secret in text for secret in given):
            client.sendall(answer("401 Unauthorized", "who are you?"))
            return
        if "websocket" not in text.lower():
            reply = answer("200 OK", "<p>" + text.replace("\r\n", " "))
            for begin in range(0, len(reply), piece):
                client.sendall(reply[begin : begin + piece])
            return
        odd_servers.upgrade(client, head)
        connect = odd_servers.read_message(client)
        if f"passcode:{SECRETS['STOMPLIANCE_PASSCODE']}".encode() not in connect:
            odd_servers.send_text(client, b"ERROR\nmessage:access refused\n\n\0")
            return
        odd_servers.send_text(client, b"CONNECTED\nversion:1.2\n\n\0")
        odd_servers.read_message(client)
        said = connect.replace(b"\n", b" ").rstrip(b"\0")
        frame = b"ERROR\ncontent-length:%d\nmessage:no\n\n%b\0" % (len(said), said)
        for begin in range(0, len(frame), 100):
            first, last = begin == 0, begin + 100 >= len(frame)
            odd_servers.send_fragment(client, frame[begin : begin + 100], first=first, last=last)

    return serve


@pytest.mark.parametrize("piece", [1 << 20, 7], ids=["at once", "in pieces"])
def test_no_secret_is_written_and_each_is_given_again(piece: int, tmp_path: Path) -> None:
    with odd_servers.listening(echoing(piece)) as port:
        url = f"ws://{SECRETS['STOMPLIANCE_USER']}@127.0.0.1:{port}/stomp?token=T0k-98765&v=1"
        given = (
            *("--header", f"X-Api-Key: {SECRETS['STOMPLIANCE_HEADER_X_API_KEY']}"),
            *("--connect-header", f"client-secret:{SECRETS['STOMPLIANCE_CONNECT_HEADER_CLIENT_SECRET']}"),
            *("--login", "bob", "--passcode", SECRETS["STOMPLIANCE_PASSCODE"]),
        )
        ended = run(url, *given, *CLAUSES, "--report", str(tmp_path / "made"), "--verbose")
        assert ended.returncode == 1, ended.stdout + ended.stderr
        files = sorted((tmp_path / "made" / "failures").glob("*.jsonl"))
        begun = {file.name.partition("-")[0] for file in files}
        assert "STOMP" in begun
        assert begun & {"GROUP", "HTTP"}  # whichever of the tests, which run side by side, fails first
        unseen(ended.stdout + ended.stderr + written(tmp_path / "made"))

        again = in_shell(printed(ended.stdout), tmp_path, **SECRETS)
        assert again.returncode == 1, again.stdout + again.stderr
        commands = resending(ended.stdout)
        assert commands
        for command in commands[:3]:
            sent = in_shell(f"{command} --verbose", tmp_path, **SECRETS)
            assert (sent.returncode, "FAILS AGAIN" in sent.stdout) == (1, True), sent.stdout + sent.stderr
            unseen(sent.stdout + sent.stderr)
        stopped = in_shell(commands[0], tmp_path)
        assert stopped.returncode not in (0, 1)
        assert "STOMPLIANCE_" in stopped.stderr
        for file in files[:3]:
            alone = run("replay", str(file), f"ws://127.0.0.1:{port}/stomp")
            assert alone.returncode == 2, alone.stdout + alone.stderr
            assert "--header 'X-Api-Key: …'" in alone.stderr


def unseen(text: str) -> None:
    """Assert that no secret is in the text, in any form."""
    for form in FORMS:
        assert form not in text, text[max(0, text.index(form) - 200) : text.index(form) + 100]


def resending(output: str) -> list[str]:
    """The printed commands that send recorded failures."""
    found: list[str] = re.findall(r"The same octets once more:\n((?:.*\\\n)*.*\n)", output)
    return [command.strip() for command in found]


FAULT = "unknown-paths-are-bad-requests"


def below(prefix: str) -> Callable[[Request], Request | bytes]:
    """Gateway that serves everything below a prefix, and nothing else."""

    def decide(request: Request) -> Request | bytes:
        if not request.path.startswith(f"{prefix}/"):
            return answer("404 Not Found", "not here")
        return request.at(request.path.removeprefix(prefix))

    return decide


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def recorded(folder: Path, *arguments: str) -> Path:
    """File of the failure that the fault shows."""
    clause = faults()[FAULT].breaks[0]
    ended = run(*arguments, "--clause", clause, "--effort", "quick", "--report", str(folder))
    files = sorted((folder / "failures").glob(f"{clause}-queue-http*.jsonl"))
    assert files, ended.stdout + ended.stderr
    return files[0]


def outcome(file: Path, *arguments: str) -> str:
    """First words that a replay prints."""
    ended = run("replay", str(file), *arguments)
    return ended.stdout.partition(":")[0] or ended.stderr


def test_a_prefix_of_the_run_is_that_of_the_replay(reference_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(served(FAULT, faults()[FAULT].flags))
        faulty = stack.enter_context(Gateway(port_of(url), below("/broker")))
        right = stack.enter_context(Gateway(port_of(reference_url), below("/other/place")))
        forms = [f"http://127.0.0.1:{faulty.port}/broker", f"ws://127.0.0.1:{faulty.port}/broker/stomp"]
        for form in forms:
            file = recorded(tmp_path, form)
            for there in (url, *forms):
                assert outcome(file, there) == "FAILS AGAIN"
            for there in (reference_url, f"http://127.0.0.1:{right.port}/other/place/"):
                assert outcome(file, there) == "DOES NOT FAIL ANY MORE"


def test_http_elsewhere_is_that_of_the_replay(tmp_path: Path) -> None:
    def websocket_only(request: Request) -> Request | bytes:
        return request if request.is_upgrade else answer("404 Not Found", "no HTTP here")

    with ExitStack() as stack:
        url = stack.enter_context(served(FAULT, faults()[FAULT].flags))
        websocket = stack.enter_context(Gateway(port_of(url), websocket_only))
        http = stack.enter_context(Gateway(port_of(url), below("/api")))
        there = (f"ws://127.0.0.1:{websocket.port}/stomp", "--http", f"http://127.0.0.1:{http.port}/api/")
        file = recorded(tmp_path, *there)
        assert outcome(file, *there) == "FAILS AGAIN"
        assert outcome(file, url) == "FAILS AGAIN"
