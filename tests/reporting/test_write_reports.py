"""Reports of a run, all written to one folder."""

import json
import xml.etree.ElementTree as ET

import pytest

from conformance.reporting import meta_of, write_reports
from conformance.run.options import Effort, Options
from conformance.run.run import Run
from conformance.specification import schemas
from conformance.specification.clauses import book
from conformance.targets.files import TargetFile
from conformance.targets.target import from_file
from conformance.verdicts.verdicts import Key

FILE = TargetFile(name="mine", classes=("stomp-1.1", "stomp-1.2"))


def run_of(**options) -> Run:
    chosen = Options(url="ws://127.0.0.1:1/", file=FILE, effort=Effort.QUICK, seed=3, **options)
    return Run(chosen, from_file(FILE, chosen.url), book())


def test_all_reports_of_a_run_say_the_same(tmp_path):
    run = run_of()
    for key in run.selected:
        run.recorder.tally(key).held = 1
        run.recorder.tally(key).tests.add("test_it")
    result = run.result()
    paths = write_reports(tmp_path / "new" / "folder", result, run)
    assert [path.name for path in paths] == ["report.json", "junit.xml", "report.html", "badge.json"]
    document = json.loads(paths[0].read_text("utf-8"))
    assert not schemas.problems("report", document)
    assert len(document["verdicts"]) == len(run.selected)
    assert len(list(ET.parse(paths[1]).iter("testcase"))) == len(run.selected)
    assert document["exit"]["sentence"] in paths[2].read_text("utf-8")


def test_reports_are_written_over_older_ones(tmp_path):
    run = run_of()
    first = write_reports(tmp_path, run.result(), run)
    second = write_reports(tmp_path, run.result(), run)
    assert first == second
    assert sorted(tmp_path.iterdir()) == sorted(first)


def test_what_a_run_was_is_taken_from_it():
    run = run_of(clauses=("STOMP-CONNECT",))
    for binding in ("stomp-1.1", "stomp-1.2"):
        run.recorder.plan("test_it", ["STOMP-CONNECT-001", "STOMP-CONNECT-002"], binding)
    run.suite_failures.append("it broke")
    meta = meta_of(run)
    assert meta.plan.tests == 2, "one test in two bindings"
    assert meta.plan.clauses == len({key.clause for key in run.selected})
    assert meta.plan.bindings == ("stomp-1.1", "stomp-1.2")
    assert (meta.plan.effort, meta.plan.seed) == ("quick", 3)
    assert meta.duration >= 0
    assert meta.started.timestamp() == pytest.approx(run.started, abs=0.001)
    assert meta.suite_failures == ("it broke",)
    assert Key("STOMP-CONNECT-001", "stomp-1.2") in run.selected
