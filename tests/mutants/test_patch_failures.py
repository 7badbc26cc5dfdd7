"""Patches that call what is not there, beside servers that fail as their faults want."""

from __future__ import annotations

import pytest

from tests.mutants.patch_failures import patch_failure

PATCHED = "/home/me/stompliance/tests/mutants/faults/tcp.py"
SERVED = "/home/me/stompliance/reference_server/stomp/session.py"


def _traceback(*frames: str, error: str) -> str:
    lines = ["Traceback (most recent call last):"]
    for number, file in enumerate(frames, 10):
        lines += [
            f'  File "{file}", line {number}, in call',
            "    whole = held + data",
            "            ~~~~~^~~~~~",
        ]
    return "\n".join([*lines, error]) + "\n"


def _logged(traceback: str) -> str:
    quoted = traceback.replace('"', '\\"').replace("\n", "\\n")
    return f'2026-01-01T00:00:00.000Z ERROR failure address=127.0.0.1 traceback="{quoted}"\n'


@pytest.mark.parametrize("written", [str, _logged], ids=["printed", "logged"])
def test_a_patch_that_fails_itself_is_told(written):
    log = written(_traceback(SERVED, PATCHED, error="TypeError: expected 3 arguments"))
    told = patch_failure(f"listens\n{log}")
    assert "tests/mutants/faults/tcp.py:11: TypeError: expected 3 arguments" in told


@pytest.mark.parametrize("written", [str, _logged], ids=["printed", "logged"])
@pytest.mark.parametrize(
    ("frames", "error"),
    [
        ((PATCHED, SERVED), "TypeError: no"),
        ((SERVED, PATCHED), "OSError: broken pipe"),
        ((SERVED,), "KeyError: 'a'"),
    ],
    ids=["in the server", "meant", "no patch"],
)
def test_other_failures_are_the_servers(written, frames, error):
    assert patch_failure(written(_traceback(*frames, error=error))) == ""
