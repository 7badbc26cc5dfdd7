"""The chapter on histories: its examples are valid and judged as it says, its tables name every member."""

import io
import json

import pytest

from conformance.history.file_decoding import NAMES
from conformance.history.files import read_stream
from conformance.history.judgement import Verdict, judge
from conformance.history.system_facts import TELLS, TIMINGS
from conformance.specification.schemas import problems
from tests.spec.documents import ROOT, fences

CHAPTER = ROOT / "histories.md"
EXAMPLES = [fence.text for fence in fences(CHAPTER) if fence.language == "history"]
#: Anomalies of each example.
ANOMALIES: list[set[str]] = [{"redelivery after acknowledgement"}, set(), set()]


@pytest.mark.parametrize(("example", "anomalies"), list(zip(EXAMPLES, ANOMALIES, strict=True)))
def test_an_example_is_a_history(example: str, anomalies: set[str]) -> None:
    """Each line fits the schema, and the checkers find what the text says."""
    for line in example.splitlines():
        assert problems("history", json.loads(line)) == []
    file = read_stream(io.BytesIO(example.encode()), "example")
    results = [one for promise in judge(file).promises for one in promise.results]
    assert {one.name for one in results if one.verdict is Verdict.BROKEN} == anomalies


def test_the_chapter_names_every_operation_timing_and_fact() -> None:
    """Every name that the reader takes stands in the chapter, and in the schema."""
    text = CHAPTER.read_text("utf-8")
    schema = (ROOT / "schemas/history.json").read_text("utf-8")
    for name in (*NAMES, *TIMINGS, *TELLS):
        assert f"`{name}`" in text, name
        assert f'"{name}"' in schema, name
