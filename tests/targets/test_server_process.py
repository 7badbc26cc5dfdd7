"""Process of a launched server: its URL, its end, and messages about failed starts."""

import os
import shlex
import socket
import subprocess
import sys

import pytest

from conformance.targets import server_process
from conformance.targets.server_process import LaunchFailed, running_server

START = subprocess.Popen
#: Longest wait for a required event, in seconds.
DEADLINE = 20.0


def python(program: str) -> str:
    """Command line that runs a Python program."""
    return shlex.join([sys.executable, "-u", "-c", program])


#: Program that prints its URL and its process id, and runs until SIGTERM.
SERVER = "import os, threading; print('ws://127.0.0.1:{}/s'.format(os.getpid()), flush=True); threading.Event().wait()"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_in(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def test_a_server_runs_as_long_as_it_is_needed():
    with running_server(python(SERVER)) as url:
        pid = pid_in(url)
        assert is_running(pid)
    assert not is_running(pid)


def test_a_server_is_stopped_also_where_the_run_breaks():
    with pytest.raises(KeyError), running_server(python(SERVER)) as url:
        raise KeyError(url)
    assert not is_running(pid_in(url))


def test_a_server_that_does_not_stop_is_killed(monkeypatch):
    monkeypatch.setattr(server_process, "STOP_SECONDS", 0.2)
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVER}"
    with running_server(python(stubborn)) as url:
        pid = pid_in(url)
    assert not is_running(pid)


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("listening on ws://127.0.0.1:8080/stomp", "ws://127.0.0.1:8080/stomp"),
        ("Listening on ws://127.0.0.1:8080/stomp.", "ws://127.0.0.1:8080/stomp"),
        ("(see wss://[::1]:8443/a/b?c=d&e=f)", "wss://[::1]:8443/a/b?c=d&e=f"),
        ('{"url": "ws://h:1/s", "pid": 7}', "ws://h:1/s"),
        ("\x1b[32mws://h:1/s\x1b[0m", "ws://h:1/s"),
        ("ws://h:1/, http://h:2/", "ws://h:1/"),
        ("http://h:2/ ws://h:1", "ws://h:1"),
    ],
)
def test_the_first_websocket_url_counts(line: str, url: str):
    program = f"print('starting'); print({line!r}); print('ws://too:late/')"
    with running_server(python(program)) as found:
        assert found == url


def test_octets_that_are_no_text_do_no_harm():
    program = r"import sys; sys.stdout.buffer.write(b'\xff\xfe caf\xe9\nws://h:1/s\n')"
    with running_server(python(program)) as url:
        assert url == "ws://h:1/s"


def test_a_server_that_prints_a_lot_is_not_held_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        # More output than a pipe holds, before the event that the test waits for.
        program = (
            "import socket; print('ws://h:1/s'); print(('x' * 99 + '\\n') * 50_000);"
            f"socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}))"
        )
        with running_server(python(program)):
            listener.accept()[0].close()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-command-anywhere --port 0", "cannot start"),
        ("'unbalanced", "cannot start"),
        ("", "no command"),
        ("   ", "no command"),
        (python("print('I am no server')"), "ended before it listened. It printed:\nI am no server"),
        (python("pass"), "It printed nothing"),
        (python("import sys; sys.exit('the port is taken')"), "the port is taken"),
    ],
)
def test_a_server_that_does_not_start_is_told_with_what_it_printed(command: str, said: str):
    with pytest.raises(LaunchFailed) as raised, running_server(command):
        pass
    assert said in str(raised.value)


def test_a_server_that_names_no_url_in_time_is_stopped(monkeypatch):
    started: list[subprocess.Popen[str]] = []

    def popen(*arguments, **more) -> subprocess.Popen[str]:
        started.append(START(*arguments, **more))
        return started[-1]

    monkeypatch.setattr(server_process, "START_SECONDS", 0.2)
    monkeypatch.setattr(subprocess, "Popen", popen)
    silent = python("import threading; threading.Event().wait()")
    with pytest.raises(LaunchFailed, match=r"no ws:// URL within 0\.2 s"), running_server(silent):
        pass
    assert [server.poll() is None for server in started] == [False]
