"""Promises: each checker belongs to one, needs are named instead of passed, and evidence is as small as can be."""

import pytest

from conformance.history.checkers import CHECKERS
from conformance.history.events import Heartbeat, History
from conformance.history.files import HistoryFile
from conformance.history.index import HistoryIndex
from conformance.history.judgement import Judgement, Verdict, judge
from conformance.history.needs import NEEDS
from conformance.history.promises import PROMISE_OF, PROMISES
from conformance.history.server_parameters import Anomaly
from conformance.history.system_facts import SystemFacts, facts_of
from conformance.specification.clauses import book
from tests.history.cases import BAD, GOOD, Case
from tests.history.story import Story


def judged(story: Story, **facts: object) -> Judgement:
    """The judgement of a story, on a system that tells everything but what `facts` change."""
    made = facts_of(story.parameters, **facts)
    return judge(HistoryFile("story", made, story.history, len(story.history)))


def found(judgement: Judgement, name: str) -> list[Anomaly]:
    """The anomalies of one name."""
    return [
        one.anomaly
        for promise in judgement.promises
        for result in promise.results
        if result.name == name
        for one in result.found
    ]


def test_every_checker_belongs_to_one_promise_and_has_needs() -> None:
    """The tables of promises and of needs have all checkers."""
    assert sorted(name for promise in PROMISES for name in promise.checkers) == sorted(CHECKERS)
    assert NEEDS.keys() == CHECKERS.keys()
    assert 12 <= len(PROMISES) <= 20


def test_the_clauses_of_promises_exist() -> None:
    """A promise names clauses of the text, and all those that its checkers charge."""
    for promise in PROMISES:
        assert all(clause in book() for clause in promise.clauses), promise.name
    for case in BAD:
        assert case.clause in PROMISE_OF[case.anomaly].clauses, case


@pytest.mark.parametrize("case", BAD, ids=str)
def test_the_promise_of_an_anomaly_is_broken_and_its_smallest_history_shows_it(case: Case) -> None:
    """The anomaly is found again in the smallest history, and in none from which one more event is left out."""
    story = case.tell()
    judgement = judged(story)
    results = {result.name: result for promise in judgement.promises for result in promise.results}
    if "publishes" in results[case.anomaly].missing:
        assert results[case.anomaly].verdict is Verdict.NOT_JUDGED
        return
    assert results[case.anomaly].verdict is Verdict.BROKEN
    first = results[case.anomaly].found[0]
    assert first.history
    assert set(first.history) <= set(story.history)

    def shows(events: History) -> bool:
        again = CHECKERS[case.anomaly](HistoryIndex(events, story.parameters))
        return any(
            (one.message, one.clause) == (first.anomaly.message, first.anomaly.clause) for one in again
        )

    assert shows(first.history)
    for number in range(len(first.history)):
        assert not shows(first.history[:number] + first.history[number + 1 :])


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_nothing_is_broken_in_a_legal_history(case: Case) -> None:
    """No promise is broken, whichever are made."""
    assert not [one for one in judged(case.tell()).promises if one.verdict is Verdict.BROKEN]


def test_a_promise_that_is_not_made_is_not_counted_and_told() -> None:
    """Its verdict is broken, and the judgement is not."""
    story = Story()
    story.joined("ann")
    for text in ("a", "b"):
        story.published(text, place=(0, "ab".index(text)))
        story.got("ann", text)
    assert judged(story).is_broken
    judgement = judged(story, promises=("order-within-partition",))
    assert not judgement.is_broken
    assert [one.promise.name for one in judgement.promised] == ["order-within-partition"]
    told = [one.promise.name for one in judgement.promises if one.verdict is Verdict.BROKEN]
    assert told == ["one-in-flight"]


def test_an_unknown_promise_is_refused() -> None:
    """The message lists those that exist."""
    with pytest.raises(
        ValueError, match="no promise 'exactly-once': expected some of order-within-partition"
    ):
        judged(Story(), promises=("exactly-once",))


def missing(story: Story, checker: str, **facts: object) -> tuple[str, ...]:
    """Needs of a checker that the story does not meet; fails if the checker found something."""
    made = SystemFacts(**facts)  # type: ignore[arg-type]
    for promise in judge(HistoryFile("story", made, story.history, 0)).promises:
        for result in promise.results:
            if result.name == checker:
                assert not result.found
                return result.missing
    raise AssertionError(checker)


def test_a_checker_without_its_evidence_says_so() -> None:
    """Order needs positions or keys, empty polls must tell, phantoms need the publishes."""
    story = Story(positions=False)
    story.joined("ann")
    story.published("a")
    story.read("ann", "a")
    story.polled("ann")
    assert missing(story, "poll-skip") == ("positions or keys",)
    assert missing(story, "unseen") == ("emptiness", "the timing rebalance_limit")
    assert missing(story, "evicted early") == ("the timing heartbeat_timeout",)
    assert missing(story, "phantom") == ()
    assert missing(story, "redelivery after acknowledgement") == ()
    only_reading = Story()
    only_reading.joined("ann")
    only_reading.read("ann", "a")
    assert missing(only_reading, "phantom") == ("publishes",)


def test_silence_is_needed_to_judge_evictions() -> None:
    """A history in which nobody falls silent says nothing about who is put out too late."""
    story = Story(heartbeat_timeout=5.0)
    story.joined("ann")
    timings = {"heartbeat_timeout": 5.0, "eviction_grace": 1.0}
    story.beat("ann")
    assert missing(story, "evicted late", timings=timings) == ("members that fall silent",)
    story.wait(20.0)
    story.events.append(Heartbeat(process="ann", consumer="ann", **story._common(None, 404)))
    assert missing(story, "evicted late", timings=timings) == ()


def test_unknown_timings_allow_everything() -> None:
    """Without timings no eviction, duplicate or revocation is an anomaly."""
    for case in BAD:
        story = case.tell()
        facts = SystemFacts(tells=frozenset(["positions", "emptiness"]), partitions={"t": 2})
        judgement = judge(HistoryFile("story", facts, story.history, 0))
        names = {one.name for promise in judgement.promises for one in promise.results if one.found}
        assert not names & {"evicted early", "evicted late", "owned by none", "unfair assignment"}, case


def test_an_acknowledgement_timeout_allows_a_second_holder() -> None:
    """A record that was in flight for so long may go to another consumer, though its holder is a member."""
    for timeout, count in ((100.0, 1), (3.0, 0)):
        story = Story(acknowledgement_timeout=timeout)
        story.joined("ann", "bob")
        story.wait(10.0)
        story.beat("ann")
        story.published("a", place=(0, 0))
        story.got("ann", "a")
        story.wait(5.0)
        story.got("bob", "a")
        story.beat("ann")
        assert len(found(judged(story), "duplicate")) == count
