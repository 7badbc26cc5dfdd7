"""Command line of the stand-in, and independence of its modules."""

from __future__ import annotations

import ast
import signal
from pathlib import Path

import pytest

from conformance.specification.clauses import Level, book
from tests.first_server import faults
from tests.first_server.conftest import Serve, start
from tests.server.wire import DEADLINE

FOLDER = Path(__file__).parent
TESTS = {"conftest.py", "clients.py", "demonstrations.py"}


def test_one_line_has_the_url(serve: Serve) -> None:
    """The only line on standard output is the URL of the endpoint."""
    server = serve("--port", "0")
    assert server.url == f"ws://127.0.0.1:{server.port}/producer"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.communicate(timeout=DEADLINE) == ("", "")
    assert server.process.returncode == 0


def test_the_faults_are_listed() -> None:
    """`--list-faults` prints a line for each fault with its name, its sentence and its clauses."""
    with start("--list-faults") as process:
        output, _ = process.communicate(timeout=DEADLINE)
    lines = output.splitlines()
    assert process.returncode == 0
    assert len(lines) == len(faults.TABLE)
    for line, fault in zip(lines, faults.TABLE, strict=True):
        assert line.startswith(f"{fault.name} ")
        assert line.endswith(f"{fault.sentence}  [{', '.join(fault.clauses)}]")


def test_the_table_names_clauses_that_exist() -> None:
    """Each fault has a name of its own, a sentence, and clauses of the specification that are MUSTs."""
    musts = {clause.id for clause in book() if clause.level is Level.MUST}
    assert len({fault.name for fault in faults.TABLE}) == len(faults.TABLE)
    assert len({fault.number for fault in faults.TABLE}) == len(faults.TABLE)
    for fault in faults.TABLE:
        assert fault.sentence.endswith(".")
        assert set(fault.clauses) <= musts, fault


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault", "J99"], "there is no fault 'J99'"),
        (["--heartbeat-timeout", "-1"], "is not a number of seconds"),
        (["--publish-at", "nowhere"], "invalid choice"),
    ],
)
def test_bad_options(options: list[str], said: str) -> None:
    """Bad options end with status 2 and a clear message."""
    with start(*options) as process:
        _, complaints = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert said in complaints


def test_a_port_that_is_taken(serve: Serve) -> None:
    """A taken port ends the command with status 2 and a message."""
    with start("--port", str(serve().port)) as process:
        _, complaints = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert "Address already in use" in complaints


def test_the_stand_in_shares_no_code() -> None:
    """The stand-in imports only the standard library, `websockets` and its own modules."""
    for path in FOLDER.glob("*.py"):
        if path.name in TESTS or path.name.startswith(("test_", "sample_")):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith(("conformance", "reference_server")), path
                assert not name.startswith("tests.") or name.startswith("tests.first_server"), path
