"""The command `python -m tests.brokers`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.brokers import __main__ as command
from tests.brokers.engines import ENGINES
from tests.brokers.installing import CannotInstall
from tests.brokers.running import Start, free_ports
from tests.brokers.table import BROKERS, Broker


@dataclass(frozen=True)
class Nothing:
    """Installation of nothing, or one that fails."""

    failure: str = ""
    source: str = "nowhere"

    def install(self, cache: Path) -> Path:
        """The cache itself."""
        if self.failure:
            raise CannotInstall(self.failure)
        return cache


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder in which temporary ones are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def know(monkeypatch: pytest.MonkeyPatch, mode: str, failure: str = "") -> None:
    """Put the fake broker of tests/brokers/fake.py into the table."""

    def start(_: Path, __: Path) -> Start:
        (port,) = free_ports(1)
        words = [sys.executable, "-m", "tests.brokers.fake", str(port), mode]
        return Start(words, {"tcp": f"stomp://127.0.0.1:{port}"}, {"PYTHONPATH": str(Path.cwd())})

    broker = Broker("fake", "Fake", "1.0", "none", Nothing(failure), start, ("tcp",), "coilmq")
    monkeypatch.setitem(BROKERS, "fake", broker)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "a NAME is missing: expected one of rabbitmq"),
        (["nope"], "there is no broker 'nope': expected one of rabbitmq"),
        (["coilmq", "--transport", "websocket"], "coilmq has no transport websocket: expected tcp"),
        (["coilmq", "--effort", "none"], "invalid choice"),
        (["coilmq", "--mode", "assign"], "--mode and --broken are for redis, nats, kafka, rabbitmq-queues"),
        (["kafka", "--mode", "nope"], "kafka has no mode 'nope': expected subscribe or assign"),
        (["redis", "--mode", "nope"], "redis has no mode 'nope': expected none"),
        (["redis", "--transport", "tcp"], "redis is judged through an adapter"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_list_names_every_broker_with_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    known = [*BROKERS.values(), *ENGINES.values()]
    assert len(lines) == len(known)
    for line, one in zip(lines, known, strict=True):
        assert line.split()[:2] == [one.name, one.version]


def test_parts_that_cannot_be_had_are_told(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, "answers", "it is gone")
    assert command.main(["fake"]) == 2
    assert "fake: it is gone" in capsys.readouterr().err


def test_a_broker_that_does_not_start_is_told_and_leaves_no_folder(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, "ends")
    assert command.main(["fake"]) == 2
    assert "ended with status 7" in capsys.readouterr().err
    assert not list(folders.iterdir())


def test_a_kept_folder_is_named(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, "ends")
    command.main(["fake", "--keep"])
    (kept,) = folders.iterdir()
    assert str(kept) in capsys.readouterr().err


def test_the_status_is_that_of_the_suite_and_the_report_is_described(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake broker connects, and keeps nothing else."""
    know(monkeypatch, "answers")
    words = ["fake", "--report", str(folders / "out"), "--effort", "quick"]
    status = command.main([*words, "--", "--clause", "STOMP-CONNECT-001", "--no-waivers"])
    report = json.loads((folders / "out" / "fake-tcp" / "report.json").read_text())
    assert status == report["exit"]["status"]
    described = json.loads((folders / "out" / "fake-tcp" / "broker.json").read_text())
    assert (described["name"], described["version"], described["transport"]) == ("fake", "1.0", "tcp")


def test_ctrl_c_stops_the_broker(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    know(monkeypatch, "answers")
    monkeypatch.setattr(command, "judge", interrupted)
    assert command.main(["fake"]) == 130
    assert "interrupted, fake is stopped" in capsys.readouterr().err
    assert not list(folders.iterdir())
