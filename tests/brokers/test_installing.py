"""Commands of an installation, and folders of the cache."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.brokers.installing import CannotInstall, carry_out, default_cache, new_folder, tool
from tests.brokers.pypi import PypiPackage


def test_a_command_that_fails_is_told_with_what_it_printed() -> None:
    command = [sys.executable, "-c", "print('no such package'); raise SystemExit(3)"]
    with pytest.raises(CannotInstall, match=r"(?s)ended with status 3.*no such package"):
        carry_out(command)


def test_a_command_that_does_not_end_is_ended() -> None:
    with pytest.raises(CannotInstall, match=r"did not end within 0\.2 s"):
        carry_out([sys.executable, "-c", "import signal; signal.pause()"], seconds=0.2)


def test_a_missing_tool_is_told_with_what_has_it() -> None:
    with pytest.raises(CannotInstall, match="'no-such-tool' on PATH: expected one, install Something"):
        tool("no-such-tool", "Something")


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall), new_folder(tmp_path / "broken") as folder:
        tool(str(folder / "half"), "nothing")
    assert not list(tmp_path.iterdir())
    with new_folder(tmp_path / "right") as folder:
        (folder / "all").touch()
    assert [path.name for path in (tmp_path / "right").iterdir()] == ["all"]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CannotInstall, match=r"can't be written.*--cache"),
        new_folder(tmp_path / "file" / "x"),
    ):
        pass


def test_an_installed_broker_is_not_installed_again(tmp_path: Path) -> None:
    (tmp_path / "no-such-package-1").mkdir()
    assert PypiPackage("no-such-package==1").install(tmp_path) == tmp_path / "no-such-package-1"


def test_the_cache_lies_in_the_users_folder_for_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_cache() == Path("/elsewhere/stompliance/brokers")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "stompliance" / "brokers"
