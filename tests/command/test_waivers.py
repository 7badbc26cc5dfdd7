"""Known deviations made by a run, stale ones that fail, and roots that hide what depends on them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from conformance.targets.files import find_target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Command

#: A server without a virtual clock, which breaks the clauses of that extension.
BROKEN = (
    *("--launch", f"{sys.executable} -m reference_server --port 0"),
    *("--class", "virtual-clock", "--class", "queue-http", "--clause", "CLOCK-1"),
)
FRAMES = ("--class", "stomp-1.2", "--clause", "STOMP-FRAME")


def test_a_run_writes_its_failures_as_known_deviations(conformance: Command, tmp_path: Path) -> None:
    """The file makes the same run conforming, and a later one fail with what is new only."""
    file = tmp_path / "known.toml"
    first = conformance(*BROKEN, "--write-waivers", str(file))
    assert first.returncode == 1, first.stdout + first.stderr
    assert f"Written: {file}" in first.stdout
    [waiver] = find_target(str(file)).waivers
    assert (waiver.clause, waiver.bindings) == ("CLOCK-1", ("queue-http",))
    second = conformance(*BROKEN, "--target", str(file), "--strict-waivers")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "broken as is known" in " ".join(second.stdout.split())


def test_written_deviations_keep_what_the_target_file_says(
    conformance: Command, poor_broker_url: str, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(
        'name = "old"\ntitle = "A \\"web\\" server"\nclasses = ["stomp-1.2"]\nqueue = "/q/{name}"\n'
        '[facts]\nreceipts = false\n[timings]\neviction_grace = 2.5\n[queue_headers]\n"a b" = "c\\td"\n'
        '[[waivers]]\nclause = "STOMP-FRAME-007"\nreason = "it was so before"\ngoes_on = true\n'
    )
    ended = conformance(poor_broker_url, *FRAMES, "--target", str(old), "--write-waivers", str(new))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    before, after = find_target(str(old)), find_target(str(new))
    assert after.name == "new"
    for key in ("title", "classes", "queue", "facts", "timings", "queue_headers"):
        assert getattr(after, key) == getattr(before, key)
    assert before.waivers[0] in after.waivers
    assert len(after.waivers) > 1
    again = conformance(poor_broker_url, *FRAMES, "--target", str(new))
    assert again.returncode in (0, 4), again.stdout + again.stderr


def test_a_run_that_ended_early_writes_no_deviations(
    conformance: Command, poor_broker_url: str, tmp_path: Path
) -> None:
    """A file of half the deviations would let the other half fail as news."""
    file = tmp_path / "known.toml"
    ended = conformance(poor_broker_url, *FRAMES, "--fail-fast", "--write-waivers", str(file))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert not file.exists()
    assert "Not written" in ended.stderr


def test_a_stale_waiver_fails_where_that_is_asked_for(
    conformance: Command, server_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "known.toml"
    file.write_text(
        'name = "known"\n[[waivers]]\nclause = "STOMP-CONNECT-001"\nreason = "It greeted nobody."\n'
    )
    arguments = (server_url, "--class", "stomp-1.2", "--clause", "STOMP-CONNECT-001", "--target", str(file))
    lax = conformance(*arguments)
    assert lax.returncode == 0, lax.stdout + lax.stderr
    assert "deviate no more" in lax.stdout
    strict = conformance(*arguments, "--strict-waivers", "--report", str(tmp_path / "made"))
    assert strict.returncode == 1, strict.stdout + strict.stderr
    assert "1 known deviation deviates no more (STOMP-CONNECT-001)" in " ".join(strict.stdout.split())
    assert '<failure type="stale"' in (tmp_path / "made" / "junit.xml").read_text("utf-8")


def test_a_waived_root_that_hides_most_of_a_class_is_inconclusive(
    conformance: Command, poor_broker_url: str, tmp_path: Path
) -> None:
    """A target file that excuses the root of everything does not make the server conforming."""
    file = tmp_path / "known.toml"
    selected = (
        "--class",
        "stomp-1.2",
        "--clause",
        "STOMP-CONNECT",
        "--clause",
        "STOMP-SUB",
        "--effort",
        "quick",
    )
    conformance(poor_broker_url, *selected, "--write-waivers", str(file))
    assert "STOMP-CONNECT-001" in {waiver.clause for waiver in find_target(str(file)).waivers}
    ended = conformance(poor_broker_url, *selected, "--target", str(file), "--report", str(tmp_path))
    assert ended.returncode == 4, ended.stdout + ended.stderr
    said = " ".join(ended.stdout.split())
    assert "INCONCLUSIVE: most requirements of a claimed class could not be judged" in said
    assert "STOMP-CONNECT-001" in said
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    [share] = document["hardly_judged"]
    assert share["class"] == "stomp-1.2"
    assert 2 * share["unjudged"] > share["claimed"]
