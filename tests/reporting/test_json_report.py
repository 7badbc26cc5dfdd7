"""JSON report: valid by its schema, complete, exact about octets."""

import base64
import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.reporting import json_report
from conformance.reporting.summary import closing_sentence
from conformance.specification import schemas
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Exit, Failure, Key, Result, Tally, Waiver
from conformance.wire.trace import TraceEntry
from tests.reporting import samples
from tests.reporting.samples import BOOK, META, SECRET, TARGET, WAIVERS
from tests.verdicts.test_situations import SITUATIONS


def built(result: Result, **more) -> dict:
    """The report, written and parsed."""
    document = json_report.build(result, BOOK, more.pop("target", TARGET), META, **more)
    return json.loads(json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8"))


def of_failure(failure: Failure) -> dict:
    key = Key(failure.clause, failure.binding)
    [verdict] = built(decide(BOOK, [key], {key: Tally(broken=1, failures=[failure])}))["verdicts"]
    return verdict["failures"][0]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_the_report_of_any_situation_is_valid(situation):
    result = situation.result()
    document = built(result)
    assert not schemas.problems("report", document)
    assert document["exit"]["status"] == int(result.exit)
    assert document["exit"]["sentence"] == closing_sentence(result)
    assert sum(document["counts"].values()) == len(document["verdicts"]) == len(result.verdicts)
    assert document["run"]["ended_early"] == (situation.ended_early or None)


def test_the_report_of_a_server_that_was_not_there_is_valid():
    document = built(Result((), (), Exit.USAGE))
    assert not schemas.problems("report", document)
    assert document["exit"] == {
        "status": 2,
        "name": "not judged",
        "sentence": "NOT JUDGED: nobody answers at the URL (exit status 2).",
    }


def test_the_report_has_the_facts_of_the_run():
    document = built(
        samples.result(), target=dataclasses.replace(TARGET, waivers=WAIVERS, limits={"max_body": 9})
    )
    assert not schemas.problems("report", document)
    assert document["suite"]["version"] == META.suite_version
    assert document["target"]["url"] == TARGET.url
    assert document["target"]["classes"] == ["queue-http", "stomp-1.1", "stomp-1.2"]
    assert document["target"]["extensions"] == ["virtual-clock"]
    assert document["target"]["limits"] == {"max_body": 9}
    assert document["target"]["timings"]["heartbeat_timeout"] == 30.0
    assert len(document["target"]["waivers"]) == 2
    assert document["target"]["capabilities"]["name"] == "Sample broker"
    run = document["run"]
    assert (run["effort"], run["seed"], run["tests"], run["clauses"]) == ("quick", 7, 12, 8)
    assert run["started"] == "2024-05-06T07:08:09.000+00:00"
    assert run["duration"] == 12.5
    assert document["stale_waivers"] == [
        {"clause": "TALK-1", "reason": "was mended long ago", "bindings": ["stomp-1.2"]}
    ]


def test_a_verdict_has_all_that_is_known():
    document = built(samples.result(), replay_command=lambda failure: f"again {failure.clause}")
    by_key = {(verdict["clause"], verdict["binding"]): verdict for verdict in document["verdicts"]}
    assert len(by_key) == len(samples.SELECTED)
    broken = by_key["ACCOUNT-OPEN-1", "queue-http"]
    assert broken["kind"] == "fail"
    assert broken["counts"] is True
    assert broken["level"] == "MUST"
    assert broken["text"] == "The server MUST open an account."
    assert broken["chapter"] == "Keeping accounts"
    assert broken["source"] == "chapter0.md:5"
    assert broken["asserted"] == 1
    assert broken["failures"][0]["replay"] == "again ACCOUNT-OPEN-1"
    assert len(broken["failures"][0]["steps"]) == 3
    assert len(broken["failures"][0]["frames"]) == len(samples.FRAMES)
    assert by_key["ACCOUNT-PAY-1", "queue-http"]["roots"] == ["ACCOUNT-OPEN-1"]
    assert by_key["ACCOUNT-CLOSE-1", "queue-http"]["level"] == "MUST NOT"
    assert by_key["ACCOUNT-CLOSE-1", "queue-http"]["depends_on"] == ["ACCOUNT-PAY-1"]
    known = by_key["TALK-1", "stomp-1.1"]
    assert (known["kind"], known["counts"], known["waiver"]) == (
        "fail",
        False,
        "1.1 is not greeted, and nobody minds",
    )
    assert len(by_key["TALK-2", "stomp-1.2"]["failures"]) == 2


def test_the_passcode_of_the_target_is_in_no_report():
    assert SECRET not in json.dumps(built(samples.result()))


def frame_of(octets: bytes, size: int | None = None) -> dict:
    entry = TraceEntry(1.5, "ws-1", "<", "stomp", octets, len(octets) if size is None else size)
    return of_failure(Failure("TALK-1", "stomp-1.2", "t", "e", "o", (), (entry,)))["frames"][0]


@given(st.text())
def test_octets_that_are_text_are_text_exactly(text: str):
    frame = frame_of(text.encode())
    assert frame["text"] == text
    assert "base64" not in frame


@given(st.binary().filter(lambda octets: not octets.isascii()))
def test_octets_that_are_no_text_can_be_had_exactly(octets: bytes):
    frame = frame_of(octets)
    exact = base64.b64decode(frame["base64"]) if "base64" in frame else frame["text"].encode()
    assert exact == octets


def test_a_frame_has_its_time_direction_and_size():
    frame = frame_of(b"x" * 100_000, 5_000_000)
    assert (frame["at"], frame["connection"], frame["direction"], frame["kind"]) == (
        1.5,
        "ws-1",
        "<",
        "stomp",
    )
    assert frame["size"] == 5_000_000
    assert len(frame["text"]) == json_report.FRAME_OCTETS


@settings(max_examples=60)
@given(st.text(st.characters(exclude_categories=())), st.lists(st.binary(), max_size=3))
def test_whatever_a_server_says_the_report_is_valid(said: str, octets: list[bytes]):
    frames = tuple(samples.frame(0.5, "ws-1", "<", "stomp", part) for part in octets)
    key = Key("TALK-1", "stomp-1.2")
    failure = Failure(*key, said, said, said, (said,), frames)
    result = decide(BOOK, [key], {key: Tally(broken=1, failures=[failure], skips=[said])}, ended_early=said)
    target = dataclasses.replace(TARGET, title=said, capabilities={said: [said, math.nan, -math.inf, None]})
    assert not schemas.problems("report", built(result, target=target))


def test_the_schema_is_strict_about_what_it_lists():
    document = built(samples.result())
    for damage in (
        {"format": 2},
        {"verdicts": [{**document["verdicts"][0], "kind": "maybe"}]},
        {"verdicts": [{**document["verdicts"][0], "kind": "pass"}]},
        {"verdicts": [{**document["verdicts"][0], "waiver": "known"}]},
        {"exit": {**document["exit"], "status": 5}},
        {"counts": {"maybe": 1}},
    ):
        assert schemas.problems("report", {**document, **damage}), damage
    for member in document:
        assert schemas.problems("report", {name: value for name, value in document.items() if name != member})
    assert not schemas.problems("report", {**document, "of_a_later_version": 1})


def test_the_file_is_utf_8_and_ends_with_a_newline(tmp_path):
    path = tmp_path / "report.json"
    result = decide(BOOK, [], {}, [Waiver("TALK-1", "schüchtern")])
    target = dataclasses.replace(TARGET, title="Größe")
    json_report.write(path, result, BOOK, target, META)
    text = path.read_bytes().decode("utf-8")
    assert "Größe" in text
    assert text.endswith("}\n")
    assert not schemas.problems("report", json.loads(text))
