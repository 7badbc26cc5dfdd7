"""The programs and commands of docs/testing-a-client.md, in processes of their own.

Packages of npm come from its registry, those of Java from the local Maven repository; without them a test is skipped
and says so.
"""

from __future__ import annotations

import functools
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reference_server import ODDITIES, Server
from tests.command.conftest import COMMAND_SECONDS, clean_environment
from tests.embedding.clients import Client

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "testing-a-client.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
_PROGRAM = re.compile(r"^```\w+\n(?:#|//) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = dict(_PROGRAM.findall(PAGE))
INSTALL_SECONDS = 60
#: Oddities that a client does not survive, alone or with others, as the page says.
NOT_SURVIVED = {
    "client.mjs": {"ids-are-odd-strings"},
    "SpringClient.java": {"a-frame-takes-several-messages"},
}
#: Folders of the class path of Spring's client, below the local Maven repository, with patterns of versions.
JARS = {
    **{
        f"org/springframework/spring-{name}": "6.*"
        for name in ("beans", "context", "core", "jcl", "messaging", "web", "websocket")
    },
    "org/glassfish/tyrus/bundles/tyrus-standalone-client": "2.*",
    "io/micrometer/micrometer-commons": "*",
    "io/micrometer/micrometer-observation": "*",
}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with this project only as an installed distribution."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=folder,
        env={name: value for name, value in clean_environment().items() if name != "PYTHONPATH"},
    )


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.startswith("test_")])
def test_tests_of_the_page_pass(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(PROGRAMS[name], "utf-8")
    ended = run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", name], tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_test_of_the_readme_passes(tmp_path: Path) -> None:
    """A client author's five minutes: eight lines, green."""
    [(name, text)] = _PROGRAM.findall(README)
    assert len([line for line in text.splitlines() if line]) == 8
    (tmp_path / name).write_text(text, "utf-8")
    ended = run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", name], tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_the_broker_without_pytest_runs(tmp_path: Path) -> None:
    (tmp_path / "broker.py").write_text(PROGRAMS["broker.py"], "utf-8")
    ended = run([sys.executable, "broker.py"], tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    pattern = r"connect to stomp://127\.0\.0\.1:\d+ or ws://127\.0\.0\.1:\d+/stomp\n"
    assert re.fullmatch(pattern, ended.stdout)


def test_brokers_of_the_page_start() -> None:
    """Each command that starts a broker prints its URL, and ends with SIGTERM."""
    lines = re.findall(r"^    python -m (reference_server .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        command = [sys.executable, "-m", *re.sub(r"port \d+", "port 0", line).split()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as server:
            try:
                assert server.stdout is not None
                url = re.search(r"ws://\S+", server.stdout.readline())
                assert url is not None
                Client(url[0]).close()
            finally:
                server.send_signal(signal.SIGTERM)
            assert server.wait(COMMAND_SECONDS) == 0


def test_the_page_names_what_there_is() -> None:
    """Names of oddities and of methods in the page exist."""
    named = set(re.findall(r"--odd ([a-z0-9-]+)|odd=\[\"([a-z0-9-]+)\"\]", PAGE))
    assert {first or second for first, second in named} <= set(ODDITIES)
    methods = set(re.findall(r"^\| `(\w+)[`(]", PAGE, re.MULTILINE)) - {"Server"}
    assert len(methods) > 4
    assert all(hasattr(Server, method) for method in methods)


# Clients in other languages


def acknowledges(command: list[str], folder: Path, odd: list[str], *, over_tcp: bool = False) -> None:
    """Run a client that subscribes to /queue/orders, sends a message there, and acknowledges it."""
    with Server(odd=odd) as server:
        ended = run([*command, str(server.stomp_url) if over_tcp else server.url], folder)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stdout == "acknowledged\n"
        server.wait_for("DISCONNECT")
        first, *commands = [frame.command for frame in server.received()]
        assert first in ("CONNECT", "STOMP")
        assert commands == ["SUBSCRIBE", "SEND", "ACK", "DISCONNECT"]
        assert server.received("SEND")[0].body.decode() == "zehn Äpfel"
        # The message was consumed: the next one is the first that another client gets.
        other = Client(server.url)
        other.send("SEND", "next", destination="/queue/orders")
        other.send("SUBSCRIBE", id="1", destination="/queue/orders")
        assert other.expect("MESSAGE").body == b"next"
        other.close()


def installed(command: list[str], folder: Path, program: str) -> Path:
    """Lay a program of the page into a folder and get its packages by a command; skip the test without them."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (folder / program).write_text(PROGRAMS[program], "utf-8")
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} did not get the packages within {INSTALL_SECONDS} s")
    if done.returncode:
        pytest.skip(f"{command[0]} cannot install the packages: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="module")
def npm_client(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Function that returns a folder with a client of the page and the packages of npm that the page names for it."""
    npm = ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier"]

    @functools.cache
    def install(program: str) -> Path:
        if shutil.which("node") is None:
            pytest.skip("node is not installed")
        folder = tmp_path_factory.mktemp("npm")
        (folder / "package.json").write_text('{"private":true}')
        [packages] = re.findall(r"`npm install ([^`]+)`", PAGE[: PAGE.index(f"// {program}")])[-1:]
        return installed([*npm, *packages.split()], folder, program)

    return install


@pytest.mark.parametrize(
    "odd", [[], sorted(set(ODDITIES) - NOT_SURVIVED["client.mjs"])], ids=["plain", "odd"]
)
def test_the_client_in_javascript(npm_client: Callable[[str], Path], odd: list[str]) -> None:
    """@stomp/stompjs works with a plain broker, and with all oddities at once that it survives."""
    acknowledges(["node", "client.mjs"], npm_client("client.mjs"), odd)


def test_the_client_in_javascript_over_tcp(npm_client: Callable[[str], Path]) -> None:
    acknowledges(["node", "client-tcp.cjs"], npm_client("client-tcp.cjs"), [], over_tcp=True)


def test_the_client_in_go(tmp_path: Path) -> None:
    """go-stomp works over TCP."""
    [module] = re.findall(r"`go get ([^`]+)`", PAGE)
    (tmp_path / "go.mod").write_text("module client\n\ngo 1.21\n")
    folder = installed(["go", "get", module], tmp_path, "client.go")
    acknowledges(["go", "run", "client.go"], folder, [], over_tcp=True)


@pytest.fixture(scope="module")
def spring(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Folder with the compiled client of the page, and the command that runs it."""
    if shutil.which("javac") is None:
        pytest.skip("no JDK is installed")
    repository = Path.home() / ".m2" / "repository"
    jars = [sorted((repository / jar).glob(f"{version}/*[0-9].jar")) for jar, version in JARS.items()]
    missing = [jar for jar, found in zip(JARS, jars, strict=True) if not found]
    if missing:
        pytest.skip(
            f"the local Maven repository lacks {', '.join(missing)}. Fetch them with"
            " `mvn dependency:get -Dartifact=org.springframework:spring-websocket:6.1.14`, the same for"
            " spring-messaging, and `…=org.glassfish.tyrus.bundles:tyrus-standalone-client:2.1.5`"
        )
    folder = tmp_path_factory.mktemp("spring")
    (folder / "SpringClient.java").write_text(PROGRAMS["SpringClient.java"], "utf-8")
    path = ":".join(str(found[-1]) for found in jars)
    compiled = run(["javac", "-encoding", "UTF-8", "-cp", path, "SpringClient.java"], folder)
    assert compiled.returncode == 0, compiled.stderr
    return folder, ["java", "-cp", f"{path}:.", "SpringClient"]


@pytest.mark.parametrize(
    "odd", [[], sorted(set(ODDITIES) - NOT_SURVIVED["SpringClient.java"])], ids=["plain", "odd"]
)
def test_the_client_in_java(spring: tuple[Path, list[str]], odd: list[str]) -> None:
    """Spring's client works with a plain broker, and with all oddities at once that it survives."""
    folder, command = spring
    acknowledges(command, folder, odd)
