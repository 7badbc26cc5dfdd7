"""JUnit report: well formed for any text of a server, and never passed without a verdict."""

import dataclasses
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.reporting import junit
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Exit, Failure, Key, Kind, Result, Tally
from tests.reporting import samples
from tests.reporting.samples import BOOK, META, SECRET, TARGET
from tests.verdicts.test_situations import SITUATIONS


def read(result: Result, **more) -> ET.Element:
    """The report, written and parsed."""
    element = junit.build(result, BOOK, more.pop("target", TARGET), META, **more)
    return ET.fromstring(ET.tostring(element, encoding="utf-8"))


@pytest.fixture(scope="module")
def report() -> ET.Element:
    return read(samples.result())


def case(report: ET.Element, clause: str, binding: str) -> ET.Element:
    [found] = [
        case
        for case in report.iter("testcase")
        if (case.get("name"), case.get("classname")) == (clause, binding)
    ]
    return found


def properties(case: ET.Element) -> dict[str | None, str | None]:
    return {item.get("name"): item.get("value") for item in case.iter("property")}


def test_there_is_a_suite_for_each_chapter_and_a_case_for_each_verdict(report: ET.Element):
    assert [suite.get("name") for suite in report] == ["Keeping accounts", "Talking"]
    assert [len(suite.findall("testcase")) for suite in report] == [5, 4]
    assert report.get("time") == "12.500"


def test_what_the_server_breaks_is_a_failure_with_evidence(report: ET.Element):
    failure = case(report, "ACCOUNT-OPEN-1", "queue-http").find("failure")
    assert failure is not None
    assert failure.get("type") == "MUST"
    assert "red" in failure.get("message", "")
    text = failure.text or ""
    for fact in (
        "ACCOUNT-OPEN-1: The server MUST open an account.",
        "expected: an answer",
        "3. step 3",
        "0.001 ws-1 > CONNECT",
        f"python -m conformance {TARGET.url} --clause ACCOUNT-OPEN-1",
    ):
        assert fact in text, fact


def test_what_the_suite_breaks_is_an_error(report: ET.Element):
    found = case(report, "ACCOUNT-CLOSE-1", "queue-http")
    error = found.find("error")
    assert error is not None
    assert "KeyError" in error.get("message", "")
    assert found.find("failure") is None


@pytest.mark.parametrize(
    ("clause", "binding", "message"),
    [
        ("ACCOUNT-PAY-1", "queue-http", "blocked: its test ended at ACCOUNT-OPEN-1"),
        ("ACCOUNT-PAY-2", "queue-http", "skipped: the server has no cents"),
        ("TALK-1", "stomp-1.1", "known deviation: 1.1 is not greeted"),
        ("TALK-3", "stomp-1.2", "skipped: not judged: it binds the client"),
    ],
)
def test_what_is_not_judged_or_known_is_skipped(report: ET.Element, clause: str, binding: str, message: str):
    skipped = case(report, clause, binding).find("skipped")
    assert skipped is not None
    assert skipped.get("message", "").startswith(message)


def test_a_deviation_passes_and_says_so(report: ET.Element):
    found = case(report, "TALK-2", "stomp-1.2")
    assert not [child.tag for child in found if child.tag in ("failure", "error", "skipped")]
    assert properties(found)["verdict"] == "deviation"
    assert "a grunt" in (found.findtext("system-out") or "")


def test_a_pass_passes(report: ET.Element):
    found = case(report, "TALK-1", "stomp-1.2")
    assert [child.tag for child in found] == ["properties"]
    assert properties(found) == {"level": "MUST", "verdict": "pass", "asserted": "40"}


def test_parts_of_a_case_come_in_the_order_of_the_common_schema(report: ET.Element):
    order = ["properties", "skipped", "error", "failure", "system-out"]
    for found in report.iter("testcase"):
        places = [order.index(child.tag) for child in found]
        assert places == sorted(places)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_counts_add_up_and_only_a_judged_run_is_green(situation):
    result = situation.result()
    report = read(result)
    tags = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    for element in (report, *report):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        for attribute, tag in tags.items():
            assert element.get(attribute) == str(sum(found.find(tag) is not None for found in cases))
    is_green = report.get("failures") == report.get("errors") == "0"
    assert is_green == (result.exit is Exit.CONFORMING)
    failed = {
        (found.get("name"), found.get("classname"))
        for found in report.iter("testcase")
        if found.find("failure") is not None
    }
    assert failed == {tuple(verdict.key) for verdict in result.verdicts if verdict.counts}


def test_what_broke_outside_of_the_tests_is_told():
    result = decide(BOOK, [], {}, suite_failed=True)
    meta = dataclasses.replace(META, suite_failures=("collecting: SyntaxError",))
    error = junit.build(result, BOOK, TARGET, meta).find("testsuite/testcase/error")
    assert error is not None
    assert error.text == "collecting: SyntaxError"
    assert "THE SUITE FAILED" in error.get("message", "")


def test_the_passcode_of_the_target_is_in_no_report(report: ET.Element):
    assert SECRET not in ET.tostring(report, encoding="unicode")


@settings(max_examples=60)
@given(st.text(st.characters(exclude_categories=())), st.lists(st.binary(), max_size=3))
def test_whatever_a_server_says_the_report_is_well_formed(said: str, octets: list[bytes]):
    frames = tuple(samples.frame(0.5, "ws-1", "<", "stomp", part) for part in octets)
    keys = [Key(clause, "stomp-1.2") for clause in ("TALK-1", "TALK-2", "TALK-3")]
    tallies = {
        key: Tally(broken=1, failures=[Failure(*key, said, said, said, (said,), frames)]) for key in keys[:2]
    }
    tallies[keys[2]] = Tally(errors=[said])
    result = decide(BOOK, keys, tallies, ended_early=said)
    kinds = [verdict.kind for verdict in result.verdicts]
    assert kinds == [Kind.FAIL, Kind.BLOCKED, Kind.ERROR]
    report = read(result, target=dataclasses.replace(TARGET, title=said), replay_command=lambda _: said)
    assert len(list(report.iter("testcase"))) == 3 + bool(said)


def test_the_file_can_be_parsed(tmp_path):
    path = tmp_path / "junit.xml"
    junit.write(path, samples.result(), BOOK, TARGET, META)
    assert path.read_bytes().startswith(b"<?xml")
    assert len(list(ET.parse(path).iter("testcase"))) == 9
