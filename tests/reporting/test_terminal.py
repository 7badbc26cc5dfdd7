"""Terminal report of a run: its facts, not its layout."""

import dataclasses
import io
import re

import pytest
from rich.cells import cell_len

from conformance.reporting.plan import Plan
from conformance.reporting.summary import MARKS, WAIVED, closing_sentence
from conformance.reporting.terminal import Presenter
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Exit, Key, Kind, Result, Tally
from tests.reporting import samples
from tests.reporting.printed import WIDTHS, WITH_WAIVERS, finished, flat, row, section
from tests.reporting.samples import BOOK, TARGET


@WIDTHS
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_longer_than_the_width(width: int, verbose: bool):
    text = finished(samples.result(), width, verbose=verbose)
    assert max(map(cell_len, text.splitlines())) <= width


@WIDTHS
def test_nothing_but_text_reaches_a_file(width: int, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    text = finished(samples.result(), width)
    assert all(character == "\n" or character.isprintable() for character in text)
    assert not any(line.endswith(" ") for line in text.splitlines())


@WIDTHS
def test_the_table_has_a_row_for_each_clause_below_its_chapter(width: int):
    lines = finished(samples.result(), width).splitlines()
    titles = [
        next(n for n, line in enumerate(lines) if line.startswith(name)) for name in ("Keeping", "Talking")
    ]
    for clause in BOOK:
        [at] = [n for n, line in enumerate(lines) if line.startswith(f"{clause.id} ")]
        assert (titles[0] < at < titles[1]) == (clause.chapter == "Keeping accounts")
        assert clause.level.value in lines[at]


@WIDTHS
@pytest.mark.parametrize(
    ("clause", "binding", "mark"),
    [
        ("ACCOUNT-OPEN-1", "http", MARKS[Kind.FAIL]),
        ("ACCOUNT-PAY-1", "http", MARKS[Kind.BLOCKED]),
        ("ACCOUNT-PAY-2", "http", MARKS[Kind.SKIPPED]),
        ("ACCOUNT-PAY-3", "http", MARKS[Kind.OBSERVED]),
        ("ACCOUNT-CLOSE-1", "http", MARKS[Kind.ERROR]),
        ("TALK-1", "1.1", WAIVED),
        ("TALK-1", "1.2", MARKS[Kind.PASS]),
        ("TALK-2", "1.2", MARKS[Kind.DEVIATION]),
    ],
)
def test_a_verdict_stands_below_its_binding(width: int, clause: str, binding: str, mark):
    text = finished(samples.result(), width)
    chapter = "Keeping accounts" if clause.startswith("ACCOUNT") else "Talking"
    head = next(line for line in text.splitlines() if line.startswith(chapter))
    assert row(text, clause)[head.index(binding) + len(binding) - 1] == mark.sign


def test_the_legend_explains_every_sign_that_is_used():
    text = finished(samples.result())
    used = [mark for kind, mark in MARKS.items() if kind is not Kind.INCONCLUSIVE] + [WAIVED]
    assert all(f"{mark.sign} {mark.word}" in text for mark in used)
    assert MARKS[Kind.INCONCLUSIVE].word not in text


def test_deviations_known_ones_and_stale_waivers_are_one_line_each():
    text = finished(samples.result())
    assert section(text, "Recommendations").splitlines()[1:] == ["  △ TALK-2  stomp-1.2  a grunt"]
    assert "TALK-1  stomp-1.1  1.1 is not greeted, and nobody minds" in section(
        text, "Known deviations of this"
    )
    assert "TALK-1 in stomp-1.2: was mended long ago" in section(text, "deviate no more")


def test_observations_are_counted_and_listed_on_request():
    assert "1 clause." in finished(samples.result())
    assert "it rounds down" not in finished(samples.result())
    assert "it rounds down" in finished(samples.result(), verbose=True)


def test_reasons_are_summed_up():
    text = finished(samples.result())
    assert "its test ended at ACCOUNT-OPEN-1, which failed: ACCOUNT-PAY-1" in flat(section(text, "\nBlocked"))
    assert "the server has no cents: ACCOUNT-PAY-2" in flat(section(text, "\nSkipped"))


def test_the_most_frequent_reason_comes_first():
    keys = [Key(clause, "queue-http") for clause in ("ACCOUNT-OPEN-1", "ACCOUNT-PAY-1", "ACCOUNT-CLOSE-1")]
    tallies = {key: Tally(skips=["rare" if key is keys[0] else "common"]) for key in keys}
    lines = section(finished(decide(BOOK, keys, tallies)), "\nSkipped").strip().splitlines()
    assert [flat(line)[:8] for line in lines] == ["2 common", "1 rare: "]


def test_many_clauses_of_one_reason_are_counted():
    book = samples.many_clauses(40)
    keys = [Key(clause.id, "stomp-1.2") for clause in book]
    result = decide(book, keys, {key: Tally(skips=["no clock"]) for key in keys})
    summed = flat(section(finished(result, book=book), "\nSkipped"))
    first = ", ".join(f"LONG-CHAPTER-{number:03}" for number in range(5))
    assert summed == f"40 no clock: {first} … and 35 more"
    assert "LONG-CHAPTER-039" in section(finished(result, book=book, verbose=True), "\nSkipped")


def test_mistakes_of_the_suite_are_told_whole():
    text = section(finished(samples.result()), "Mistakes of the suite")
    assert "ACCOUNT-CLOSE-1  queue-http" in text
    assert "t4: KeyError: 'x'" in text
    assert "Traceback" in text


# The end


@WIDTHS
@pytest.mark.parametrize(
    "result",
    [
        samples.result(),
        samples.result(ended_early="the server went away"),
        decide(BOOK, [], {}),
        Result((), (), Exit.USAGE),
    ],
    ids=["broken", "ended early", "nothing selected", "nobody there"],
)
def test_the_last_words_are_the_closing_sentence(result: Result, width: int):
    text = finished(result, width)
    assert flat(text.split("\n\n")[-1]) == flat(closing_sentence(result))


def test_a_table_of_four_hundred_clauses_has_four_hundred_rows():
    book = samples.many_clauses(400)
    keys = [Key(clause.id, "stomp-1.2") for clause in book]
    text = finished(decide(book, keys, {key: Tally(held=1) for key in keys}), book=book)
    assert len(re.findall(r"^LONG-CHAPTER-\d{3} ", text, re.MULTILINE)) == 400
    assert len(text.splitlines()) < 410


# The beginning


def announced(plan: Plan, **changes) -> str:
    stream = io.StringIO()
    with Presenter(stream, width=80) as presenter:
        presenter.announce(dataclasses.replace(WITH_WAIVERS, **changes), plan)
    assert max(map(cell_len, stream.getvalue().splitlines())) <= 80
    return flat(stream.getvalue())


def test_the_announcement_says_what_is_judged():
    text = announced(samples.PLAN)
    for fact in (
        "judges Sample broker 1.0",
        "ws://127.0.0.1:8080/stomp",
        "queue-http, stomp-1.1, stomp-1.2",
        "virtual-clock",
        "12 for 8 clauses, quick effort, seed 7",
        "no timer is waited for; the server's clock is virtual",
        "2 known deviations of target sample",
    ):
        assert fact in text, fact


def test_the_announcement_says_how_long_timers_take():
    plan = dataclasses.replace(samples.PLAN, wait_seconds=33.4, seed=None)
    text = announced(plan, extensions=frozenset(), title="", name="generic", waivers=())
    assert "about 33 s" in text
    assert "the same examples in every run" in text
    assert "judges the server" in text
    assert "known deviation" not in text


def test_the_announcement_says_that_few_waits_overlap():
    plan = dataclasses.replace(samples.PLAN, wait_seconds=57.0, waits_overlap=False)
    assert "the limit of connections lets few waits overlap" in " ".join(announced(plan).split())


def test_what_the_server_calls_itself_is_no_danger():
    text = announced(samples.PLAN, title=samples.NASTY)
    assert "\x1b" not in text
    assert "^[[31mred" in text


def test_an_encoding_that_lacks_our_signs_does_no_harm():
    octets = io.BytesIO()
    stream = io.TextIOWrapper(octets, encoding="latin-1", errors="strict", write_through=True)
    with Presenter(stream, width=80) as presenter:
        presenter.announce(WITH_WAIVERS, samples.PLAN)
        presenter.finish(samples.result(), BOOK, TARGET)
    text = octets.getvalue().decode("latin-1")
    assert "X broken" in text
    assert "NOT CONFORMING" in text
    assert max(map(len, text.splitlines())) <= 80
