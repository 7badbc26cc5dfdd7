"""Each checker finds its anomaly in the smallest history that has it, and none in histories that nearly have it."""

from collections.abc import Callable, Iterator

import pytest

from conformance.history import checkers
from conformance.history.checkers import CHECKERS, Checker, judge_history
from conformance.history.index import HistoryIndex
from conformance.history.loss import recovered
from conformance.history.server_parameters import Anomaly
from tests.history.cases import BAD, GOOD, Case
from tests.history.story import Story


def mistaken(case: Case) -> bool:
    """True if the checker of the case misses its anomaly, or finds one in a legal history."""
    story = case.tell()
    found = list(CHECKERS[case.anomaly](HistoryIndex(story.history, story.parameters)))
    return (case.clause or None) != next((anomaly.clause for anomaly in found), None)


@pytest.mark.parametrize("case", BAD, ids=str)
def test_an_anomaly_is_found_and_proved(case: Case) -> None:
    """The anomaly has its name and clause, and events of the history as proof."""
    story = case.tell()
    found = [
        anomaly for anomaly in judge_history(story.history, story.parameters) if anomaly.name == case.anomaly
    ]
    assert [anomaly.clause for anomaly in found[:1]] == [case.clause]
    assert found[0].events
    assert set(found[0].events) <= set(story.history)
    assert case.anomaly in str(found[0])


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_what_is_nearly_an_anomaly_is_none(case: Case) -> None:
    """No checker finds anything in a legal history."""
    story = case.tell()
    assert judge_history(story.history, story.parameters) == []


def test_every_checker_has_a_story_with_its_anomaly_and_one_without() -> None:
    """Both tables cover all checkers."""
    assert {case.anomaly for case in BAD} == set(CHECKERS)
    assert {case.anomaly for case in GOOD} == set(CHECKERS)
    assert len(CHECKERS) >= 25


def blind(_checker: Checker) -> Checker:
    """A checker that finds nothing."""
    return lambda _reading: iter(())


def upside_down(checker: Checker) -> Checker:
    """A checker that finds its anomaly in all histories but those that have it."""

    def check(index: HistoryIndex) -> Iterator[Anomaly]:
        if not list(checker(index)):
            yield Anomaly("upside down", "NONE-1", "", ())

    return check


def jumpy(checker: Checker) -> Checker:
    """A checker that finds its anomaly in all histories."""

    def check(index: HistoryIndex) -> Iterator[Anomaly]:
        yield from checker(index)
        yield Anomaly("jumpy", "NONE-1", "", ())

    return check


@pytest.mark.parametrize("breaking", [blind, upside_down, jumpy])
@pytest.mark.parametrize("name", CHECKERS)
def test_a_broken_checker_is_noticed(
    name: str, breaking: Callable[[Checker], Checker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stories distinguish a working checker from a broken one."""
    cases = [case for case in [*BAD, *GOOD] if case.anomaly == name]
    assert not any(map(mistaken, cases))
    monkeypatch.setitem(CHECKERS, name, breaking(CHECKERS[name]))
    assert any(map(mistaken, cases))


def test_a_history_is_judged_alike_in_whatever_order_it_was_recorded() -> None:
    """The order in which events were recorded doesn't matter."""
    for case in BAD:
        story = case.tell()
        backwards = list(reversed(story.history))
        forwards = judge_history(story.history, story.parameters)
        assert [a.name for a in judge_history(backwards, story.parameters)] == [a.name for a in forwards]


def heartbeats_of_strangers(count: int) -> list[Anomaly]:
    """The anomalies of so many heartbeats by consumers that were never registered."""
    story = Story()
    for number in range(count):
        story.beat(f"stranger {number}")
    return judge_history(story.history, story.parameters)


def test_the_last_reported_anomaly_of_a_kind_counts_those_left_out() -> None:
    """The report has a bounded number of anomalies of each kind, and says how many more there are."""
    most = checkers.MAX_ANOMALIES_PER_KIND
    found = heartbeats_of_strangers(most + 180)
    assert len(found) == most
    assert "and 180 more of this kind" in str(found[-1])
    assert not any("more of this kind" in str(anomaly) for anomaly in found[:-1])


def test_nothing_is_counted_where_every_anomaly_is_reported() -> None:
    """A kind with as many anomalies as are reported has no more."""
    found = heartbeats_of_strangers(checkers.MAX_ANOMALIES_PER_KIND)
    assert len(found) == checkers.MAX_ANOMALIES_PER_KIND
    assert not any("more of this kind" in str(anomaly) for anomaly in found)


@pytest.mark.parametrize(("beyond", "count"), [(0, "980"), (1, "at least 980"), (500, "at least 980")])
def test_counting_is_bounded(beyond: int, count: str) -> None:
    """Beyond the bound the report gives a lower bound."""
    found = heartbeats_of_strangers(checkers.MAX_COUNTED_PER_KIND + beyond)
    assert f"; and {count} more of this kind" in str(found[-1])


def test_a_record_without_a_reply_that_comes_is_recovered() -> None:
    """A record without a reply that is delivered was stored: this is no anomaly."""
    story = Story()
    story.joined("ann")
    story.published("a", status=None)
    story.published("b", status=None)
    story.got("ann", "a")
    assert [record.text for record in recovered(HistoryIndex(story.history, story.parameters))] == ["a"]
    assert judge_history(story.history, story.parameters) == []
