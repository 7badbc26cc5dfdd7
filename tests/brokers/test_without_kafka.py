"""The programs of tests/kafka where the client of Kafka is not installed: one sentence, and status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Imported by Python when it starts: the client is found nowhere, also where it is installed.
_HIDING = 'import sys\n\nsys.modules["confluent_kafka"] = None\n'


@pytest.mark.parametrize(
    "words",
    [
        ["tests.kafka", "--nodes", "2"],
        ["tests.kafka.clusters", "--runs", "1"],
        ["tests.kafka.measures", "--seconds", "1"],
        ["tests.mutants", "--log"],
    ],
    ids=lambda words: words[0],
)
def test_the_missing_client_is_named(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_HIDING)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "confluent-kafka" in done.stderr
    assert "pip install -e '.[kafka]'" in done.stderr
    assert "Traceback" not in done.stderr
