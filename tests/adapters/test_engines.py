"""The adapters of the engines that people run: what they announce, and their broken twins, each found by a promise.

Redis starts in a moment, so that its twins are tried wherever it is installed. Those of the other engines take minutes:
they are tried with STOMPLIANCE_ENGINES=1, or one at a time by `python -m tests.brokers kafka --broken two-owners`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.brokers.engines import ADAPTERS, ENGINES, Engine
from tests.brokers.installing import default_cache

ROOT = Path(__file__).resolve().parents[2]
QUICK = frozenset({"redis"})
TWINS = ("commit-first", "keep-given-back", "two-owners")


def skip_if_missing(engine: Engine) -> None:
    """Skip the test, with a word, where the engine or its client is not installed."""
    if missing := engine.missing(default_cache()):
        pytest.skip(f"not installed: {missing}")
    if engine.name not in QUICK and os.environ.get("STOMPLIANCE_ENGINES") != "1":
        pytest.skip(f"{engine.title} takes minutes: set STOMPLIANCE_ENGINES=1")


def judged(engine: Engine, mode: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run of the suite on an engine that is started for it."""
    words = [
        sys.executable,
        "-m",
        "tests.brokers",
        engine.name,
        *(["--mode", mode] if mode else []),
        *options,
    ]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


MODES = [
    pytest.param(engine, mode, id=f"{engine.name} {mode}")
    for engine in ENGINES.values()
    for mode in engine.modes
]


@pytest.mark.parametrize("broken", TWINS)
@pytest.mark.parametrize(("engine", "mode"), MODES)
def test_a_broken_twin_breaks_a_promise_of_its_engine(engine: Engine, mode: str, broken: str) -> None:
    """It commits before processing, keeps what it should give back, or reads where another one reads."""
    skip_if_missing(engine)
    ended = judged(engine, mode, "--broken", broken, "--effort", "quick")
    assert ended.returncode == 1, ended.stdout + ended.stderr


@pytest.mark.parametrize(("engine", "mode"), MODES)
def test_an_engine_keeps_what_its_documentation_promises(engine: Engine, mode: str) -> None:
    """A restart, silence and cut connections included."""
    skip_if_missing(engine)
    ended = judged(engine, mode, "--effort", "quick")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_the_help_of_an_adapter_teaches(engine: Engine) -> None:
    """The help has the command line that judges the engine, and the package of the client."""
    skip_if_missing_client(engine)
    words = [sys.executable, str(ADAPTERS / f"{engine.adapter}.py"), "--help"]
    text = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert f'python -m conformance --adapter "python adapters/{engine.adapter}.py' in text
    assert "pip install" in text
    assert all(twin in text for twin in TWINS)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_an_adapter_without_its_engine_says_what_to_do(engine: Engine) -> None:
    """Nothing listens on the discard port: status 2, with the option that names another address."""
    skip_if_missing_client(engine)
    address = {"redis": "--port 9", "nats": "--server nats://127.0.0.1:9", "kafka": "--bootstrap 127.0.0.1:9"}
    words = shlex.split(address.get(engine.name, "--port 9"))
    ended = subprocess.run(
        [sys.executable, str(ADAPTERS / f"{engine.adapter}.py"), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 2, ended.stderr
    assert "or name another by --" in ended.stderr


def skip_if_missing_client(engine: Engine) -> None:
    """Skip the test, with a word, where the client of the engine is not installed."""
    missing = engine.missing(default_cache())
    if missing.startswith("the package"):
        pytest.skip(f"not installed: {missing}")


def test_the_pictures_of_the_page_are_small_and_used() -> None:
    """Each is an SVG of the tool without scripts, less than 60 kB, and names no folder of a machine."""
    page = (ROOT / "docs/engines.md").read_text("utf-8")
    pictures = list((ROOT / "docs/engines").iterdir())
    assert len(pictures) >= len(ENGINES)
    for picture in pictures:
        text = picture.read_text("utf-8")
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert f"](engines/{picture.name})" in page
        assert len(text) < 60_000
        assert not re.search(r"/(tmp|home|work|root)/|<script", text)
