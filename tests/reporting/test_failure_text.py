"""Broken clauses with their evidence, on a terminal."""

import dataclasses
import shlex

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Failure, Key, Result, Tally
from tests.reporting import samples
from tests.reporting.printed import WIDTHS, finished, flat, section
from tests.reporting.samples import BOOK, SECRET, TARGET


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
