"""Terminal report at the end of a run: its facts, not its layout."""

import dataclasses
import io
import re
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from conformance.reporting.plan import Plan
from conformance.reporting.summary import MARKS, WAIVED, closing_sentence
from conformance.reporting.terminal import Presenter
from conformance.specification.clauses import Book
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Exit, Failure, Key, Kind, Result, Tally
from tests.reporting import samples
from tests.reporting.samples import BOOK, SECRET, TARGET, WAIVERS

WIDTHS = pytest.mark.parametrize("width", [80, 120])
WITH_WAIVERS = dataclasses.replace(TARGET, waivers=WAIVERS)


def finished(result: Result, width: int = 80, *, book: Book = BOOK, verbose: bool = False, **more) -> str:
    """Output of `finish` on a stream that is no terminal."""
    stream = io.StringIO()
    Presenter(stream, width=width, verbose=verbose).finish(result, book, TARGET, **more)
    return stream.getvalue()


def flat(text: str) -> str:
    """Text with single blanks, without its wrapping."""
    return " ".join(text.split())


def row(text: str, clause: str) -> str:
    """Row of a clause in the table."""
    return next(line for line in text.splitlines() if line.startswith(f"{clause} "))


def section(text: str, begin: str) -> str:
    """Text from a heading to the next empty line."""
    return text.split(begin, 1)[1].split("\n\n", 1)[0]


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


# Failures


def failure_of(text: str) -> str:
    return text.split("Broken: 1 requirement", 1)[1]


@WIDTHS
def test_a_failure_has_its_clause_and_its_evidence(width: int):
    text = failure_of(finished(samples.result(), width))
    for fact in (
        "✗ ACCOUNT-OPEN-1  MUST  in queue-http",
        "The server MUST open an account.",
        "spec/chapter0.md:5",
        "expected  an answer",
        "test_account-open-1[queue-http]",
        "1  step 1:",
        "3  step 3:",
        "0.001 ws-1   > CONNECT",
        "0.002 ws-1   < CONNECTED",
        "1.250 http-1 > GET / HTTP/1.1",
        "<ff><fe>^[[2J^@",
        "octets more",
    ):
        assert fact in text, fact
    assert "^[[31mred^G <U+202E><U+FFFE> <b>&amp;</b> ]]> [bold]x[/bold] ^@ <ff>" in flat(text)


def test_the_passcode_of_the_target_is_not_shown():
    assert SECRET not in finished(samples.result(), verbose=True)


@WIDTHS
def test_the_command_for_once_more_can_be_copied(width: int):
    words = ["stompliance", "ws://127.0.0.1:8080/stomp", "--passcode", "a b'c", *["--class", "stomp-1.2"] * 9]
    text = failure_of(finished(samples.result(), width, replay_command=lambda _: shlex.join(words)))
    command = text.split("Once more, this alone:\n", 1)[1].split("\n\n")[0]
    assert shlex.split(command.replace("\\\n", "")) == words
    assert all(len(line) <= width for line in command.splitlines())


def test_a_word_of_a_command_is_never_broken():
    url = f"ws://127.0.0.1/{'x' * 200}"
    text = finished(samples.result(), replay_command=lambda _: f"stompliance {url} --clause A-1")
    assert any(url in line for line in text.splitlines())


def test_without_a_command_the_shortest_one_is_shown():
    assert f"python -m conformance {TARGET.url} --clause ACCOUNT-OPEN-1" in finished(samples.result(), 120)


def of_failures(*failures: Failure) -> Result:
    tallies: dict[Key, Tally] = {}
    for failure in failures:
        tally = tallies.setdefault(Key(failure.clause, failure.binding), Tally())
        tally.broken += 1
        tally.failures.append(failure)
    return decide(BOOK, tallies, tallies)


def test_a_clause_is_shown_once_with_its_shortest_failure_in_full():
    long = Failure(
        "TALK-1", "stomp-1.1", "test_long", "an answer", "silence after much talk", ("a", "b", "c")
    )
    short = Failure("TALK-1", "stomp-1.2", "test_short", "an answer", "silence", ("only this",))
    text = failure_of(finished(of_failures(long, short)))
    assert text.count("✗ TALK-1") == 1
    assert "in stomp-1.1, stomp-1.2" in text
    assert "only this" in text
    also = section(text, "  Also\n")
    assert also.strip() == "stomp-1.1  test_long: silence after much talk"


def test_roots_come_before_what_depends_on_them():
    # ACCOUNT-CLOSE-1 fails over STOMP alone; in the order of the text it would come before TALK-1.
    result = of_failures(
        Failure("ACCOUNT-CLOSE-1", "queue-stomp", "t", "e", "o"),
        Failure("TALK-1", "stomp-1.2", "t", "e", "o"),
    )
    text = finished(result)
    assert text.index("✗ TALK-1") < text.index("✗ ACCOUNT-CLOSE-1")


def test_of_very_many_failures_the_first_are_shown_in_full():
    book = samples.many_clauses(30)
    tallies = {
        (key := Key(clause.id, "stomp-1.2")): Tally(broken=1, failures=[samples.failure(key, "mute")])
        for clause in book
    }
    result = decide(book, tallies, tallies)
    text = finished(result, book=book)
    assert text.count("Once more, this alone") == 20
    assert "And 10 requirements more; --verbose" in text
    assert "✗ LONG-CHAPTER-029  stomp-1.2  mute" in text
    assert finished(result, book=book, verbose=True).count("Once more, this alone") == 30


def test_long_evidence_is_cut_and_whole_on_request():
    frames = tuple(samples.frame(n, "ws-1", "<", "stomp", b"line\n" * 40 + b"end-%d" % n) for n in range(60))
    steps = tuple(f"the step {n}" for n in range(200))
    result = of_failures(Failure("TALK-1", "stomp-1.2", "t", "e", "x\n" * 500, steps, frames))
    short, whole = finished(result), finished(result, verbose=True)
    assert len(short.splitlines()) < 300
    assert "50 frames before" in short
    assert "180 steps about other things" in short
    assert "the step 199" in short
    assert "  200  the step 199" in short
    assert all(f"end-{n}" in whole for n in range(60))
    assert all(f"the step {n}" in whole for n in range(200))


def test_a_long_step_is_cut():
    result = of_failures(Failure("TALK-1", "stomp-1.2", "t", "e", "o", ("said " * 1000 + "END",)))
    assert len(finished(result).splitlines()) < 60
    assert "END" not in finished(result)
    assert "END" in finished(result, verbose=True)


@settings(max_examples=60)
@given(
    st.text(st.characters(exclude_categories=()), max_size=300),
    st.lists(st.binary(max_size=200), max_size=3),
    st.sampled_from([80, 81, 120]),
)
def test_whatever_a_server_says_stays_within_the_width(said: str, octets: list[bytes], width: int):
    frames = tuple(samples.frame(0.5, "ws-1", "<", "stomp", part) for part in octets)
    result = of_failures(Failure("TALK-1", "stomp-1.2", "t", said, said, (said,), frames))
    text = finished(dataclasses.replace(result, ended_early=said), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert all(character == "\n" or character.isprintable() for character in text)


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
