"""Adapters in a Python that has not the client library of their engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.command.conftest import run_conformance

ADAPTERS = Path(__file__).parents[2] / "adapters"
CLIENTS = {
    "kafka": ("confluent_kafka", "confluent-kafka"),
    "nats_jetstream": ("nats", "nats-py"),
    "rabbitmq_queues": ("pika", "pika"),
    "redis_streams": ("redis", "redis"),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_missing_client_library_is_named_with_its_installation(name: str, tmp_path: Path) -> None:
    """Status 2, and one sentence with the command that installs it; no traceback."""
    module, package = CLIENTS[name]
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{module}'\")")
    done = run_conformance(
        "--adapter", f"{sys.executable} {ADAPTERS / name}.py", PYTHONPATH=f"{tmp_path}:{ADAPTERS.parent}"
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"needs the package {package}" in done.stderr
    assert f"-m pip install {package}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_the_suite_is_named(tmp_path: Path) -> None:
    """The adapter's Python may be another one than that of the suite: status 2, and what to install."""
    (tmp_path / "conformance").mkdir()
    (tmp_path / "conformance" / "__init__.py").write_text("")
    command = f"env PYTHONPATH={tmp_path} {sys.executable} {ADAPTERS / 'redis_streams.py'}"
    done = run_conformance("--adapter", command, PYTHONPATH=str(ADAPTERS.parent))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "needs the package stompliance" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_adapter_is_tried() -> None:
    """The table has all programs that are adapters."""
    found = {path.stem for path in ADAPTERS.glob("*.py") if "EngineAdapter)" in path.read_text()}
    assert found == set(CLIENTS)
