"""Situations of a run, each with its verdicts, exit status and closing sentence."""

from dataclasses import dataclass, field

import pytest

from conformance.reporting.summary import closing_sentence
from conformance.verdicts.decision import decide
from conformance.verdicts.verdicts import Exit, Failure, Key, Kind, Result, Stop, Tally, Waiver
from tests.verdicts import books

BOOK = books.book()
HTTP = "queue-http"
OPEN, PAY, SAY, ROUND, CLOSE = (
    Key(clause, HTTP)
    for clause in ("ACCOUNT-OPEN-1", "ACCOUNT-PAY-1", "ACCOUNT-PAY-2", "ACCOUNT-PAY-3", "ACCOUNT-CLOSE-1")
)
ALL = (OPEN, PAY, SAY, ROUND, CLOSE)
CLIENTS = Key("TALK-3", "stomp-1.2")


def held() -> Tally:
    return Tally(tests={"t"}, held=3)


def failed(key: Key, observed: str = "silence") -> Tally:
    return Tally(tests={"t"}, broken=1, failures=[Failure(*key, "t", "an answer", observed)])


def after(cause: Key) -> Tally:
    return Tally(tests={"t"}, stops=[Stop("t", cause.clause)])


def all_held(**others: Tally) -> dict[Key, Tally]:
    by_name = {"open": OPEN, "pay": PAY, "say": SAY, "round": ROUND, "close": CLOSE}
    return {key: held() for key in ALL} | {by_name[name.strip("_")]: tally for name, tally in others.items()}


@dataclass(frozen=True)
class Situation:
    """A run with its expected result; `kinds` holds only the notable verdicts."""

    name: str
    status: Exit
    said: str
    tallies: dict[Key, Tally]
    kinds: dict[Key, Kind] = field(default_factory=dict)
    selected: tuple[Key, ...] = ALL
    waivers: tuple[Waiver, ...] = ()
    ended_early: str = ""
    suite_failed: bool = False
    stale: int = 0

    def result(self) -> Result:
        return decide(
            BOOK,
            self.selected,
            self.tallies,
            self.waivers,
            ended_early=self.ended_early,
            suite_failed=self.suite_failed,
        )


GONE = "the server went away during t: nobody answers at 127.0.0.1:8080"
NEVER = Tally(never_run=[GONE])

SITUATIONS = [
    Situation(
        "everything passes",
        Exit.CONFORMING,
        "CONFORMING: every requirement that was judged holds (3)",
        all_held(),
        {OPEN: Kind.PASS, SAY: Kind.PASS, ROUND: Kind.OBSERVED},
    ),
    Situation(
        "a requirement is broken",
        Exit.NOT_CONFORMING,
        "NOT CONFORMING: 1 requirement broken (ACCOUNT-CLOSE-1), 2 requirements hold",
        all_held(close=failed(CLOSE)),
        {CLOSE: Kind.FAIL, PAY: Kind.PASS},
    ),
    Situation(
        "only deviations from recommendations",
        Exit.CONFORMING,
        "1 recommendation is not followed",
        all_held(say=failed(SAY)),
        {SAY: Kind.DEVIATION},
    ),
    Situation(
        "a root is broken, and its followers fail with it",
        Exit.NOT_CONFORMING,
        "1 requirement broken (ACCOUNT-OPEN-1), 3 clauses blocked",
        all_held(open_=failed(OPEN), pay=failed(PAY), say=after(OPEN), close=Tally(tests={"t"})),
        {OPEN: Kind.FAIL, PAY: Kind.BLOCKED, SAY: Kind.BLOCKED, CLOSE: Kind.BLOCKED},
    ),
    Situation(
        "a known deviation",
        Exit.CONFORMING,
        "but for known deviations every requirement that was judged holds (2), 1 requirement is broken as is known",
        all_held(close=failed(CLOSE)),
        {CLOSE: Kind.FAIL},
        waivers=(Waiver(CLOSE.clause, "it closes everything"),),
    ),
    Situation(
        "a known deviation and a new one",
        Exit.NOT_CONFORMING,
        "1 requirement broken (ACCOUNT-PAY-1)",
        all_held(close=failed(CLOSE), pay=failed(PAY)),
        {PAY: Kind.FAIL, CLOSE: Kind.BLOCKED},
        waivers=(Waiver(CLOSE.clause, "it closes everything"),),
    ),
    Situation(
        "a stale waiver",
        Exit.CONFORMING,
        "every requirement that was judged holds (3)",
        all_held(),
        {CLOSE: Kind.PASS},
        waivers=(Waiver(CLOSE.clause, "it closed everything, once"),),
        stale=1,
    ),
    Situation("nothing selected", Exit.INCONCLUSIVE, "no clause was selected", {}, selected=()),
    Situation(
        "nothing selected, but what was not asked for is broken",
        Exit.NOT_CONFORMING,
        "1 requirement broken (ACCOUNT-OPEN-1)",
        {OPEN: failed(OPEN)},
        {OPEN: Kind.FAIL},
        selected=(),
    ),
    Situation(
        "no test for anything",
        Exit.INCONCLUSIVE,
        "5 clauses selected, and none could be judged",
        {},
        dict.fromkeys(ALL, Kind.INCONCLUSIVE),
    ),
    Situation(
        "everything skipped",
        Exit.INCONCLUSIVE,
        "none could be judged",
        {key: Tally(tests={"t"}, skips=["no virtual clock"]) for key in ALL},
        dict.fromkeys(ALL, Kind.SKIPPED),
    ),
    Situation(
        "only what binds the client",
        Exit.INCONCLUSIVE,
        "1 clause selected, and none could be judged",
        {},
        {CLIENTS: Kind.SKIPPED},
        selected=(CLIENTS,),
    ),
    Situation(
        "some can't be judged",
        Exit.CONFORMING,
        "1 requirement could not be judged",
        all_held(close=Tally(tests={"t"}, skips=["no way to see"])),
        {CLOSE: Kind.SKIPPED},
    ),
    Situation(
        "tests that assert nothing",
        Exit.INCONCLUSIVE,
        "none could be judged",
        {key: Tally(tests={"t"}, stops=[Stop("t", None)]) for key in ALL},
        dict.fromkeys(ALL, Kind.INCONCLUSIVE),
    ),
    Situation(
        "the server dies in the middle",
        Exit.INCONCLUSIVE,
        f"{GONE}, after 2 clauses were judged",
        {OPEN: held(), PAY: held(), SAY: NEVER, ROUND: NEVER, CLOSE: NEVER},
        {OPEN: Kind.PASS, SAY: Kind.INCONCLUSIVE, CLOSE: Kind.INCONCLUSIVE},
        ended_early=GONE,
    ),
    Situation(
        "the server dies of what a test sends",
        Exit.NOT_CONFORMING,
        f"1 requirement broken (ACCOUNT-PAY-1), 1 requirement holds, and the run ended early: {GONE}",
        {OPEN: held(), PAY: failed(PAY, "closed"), SAY: NEVER, ROUND: NEVER, CLOSE: NEVER},
        {PAY: Kind.FAIL, CLOSE: Kind.INCONCLUSIVE},
        ended_early=GONE,
    ),
    Situation(
        "the server is gone before the first test",
        Exit.INCONCLUSIVE,
        f"{GONE}, after 0 clauses were judged",
        dict.fromkeys(ALL, NEVER),
        dict.fromkeys(ALL, Kind.INCONCLUSIVE),
        ended_early=GONE,
    ),
    Situation(
        "interrupted by the user",
        Exit.INCONCLUSIVE,
        "INCONCLUSIVE: interrupted, after 4 clauses were judged",
        all_held(close=Tally(never_run=["interrupted"])),
        {CLOSE: Kind.INCONCLUSIVE},
        ended_early="interrupted",
    ),
    Situation(
        "interrupted, with everything judged",
        Exit.INCONCLUSIVE,
        "interrupted",
        all_held(),
        ended_early="interrupted",
    ),
    Situation(
        "interrupted after a failure",
        Exit.NOT_CONFORMING,
        "and the run ended early: interrupted",
        all_held(pay=failed(PAY), close=Tally(never_run=["interrupted"])),
        {PAY: Kind.FAIL, CLOSE: Kind.INCONCLUSIVE},
        ended_early="interrupted",
    ),
    Situation(
        "a test of the suite is mistaken",
        Exit.SUITE_FAILED,
        "kept 1 clause from being judged (ACCOUNT-CLOSE-1)",
        all_held(close=Tally(tests={"t"}, errors=["t: KeyError: 'x'"])),
        {CLOSE: Kind.ERROR},
    ),
    Situation(
        "the suite breaks outside of its tests",
        Exit.SUITE_FAILED,
        "a mistake of its own outside of all tests",
        all_held(),
        suite_failed=True,
    ),
    Situation(
        "the suite breaks before anything is judged",
        Exit.SUITE_FAILED,
        "which says nothing about the server",
        {},
        suite_failed=True,
    ),
    Situation(
        "the suite is mistaken, and the server is broken",
        Exit.NOT_CONFORMING,
        "1 requirement broken (ACCOUNT-OPEN-1), 1 clause not judged for mistakes of the suite",
        all_held(open_=failed(OPEN), round=Tally(errors=["t: KeyError: 'x'"])),
        {OPEN: Kind.FAIL, ROUND: Kind.ERROR},
        suite_failed=True,
    ),
    Situation(
        "the suite is mistaken, and the run is interrupted",
        Exit.SUITE_FAILED,
        "the run ended early: interrupted",
        all_held(close=Tally(errors=["t: KeyError: 'x'"])),
        {CLOSE: Kind.ERROR},
        ended_early="interrupted",
    ),
    Situation(
        "only observations were asked for",
        Exit.CONFORMING,
        "no requirement was among what was judged",
        {ROUND: Tally(tests={"t"}, observations=["down"])},
        {ROUND: Kind.OBSERVED},
        selected=(ROUND,),
    ),
    Situation(
        "all that is broken is known",
        Exit.CONFORMING,
        "CONFORMING: 1 requirement is broken as is known (exit status 0)",
        {OPEN: failed(OPEN)},
        {OPEN: Kind.FAIL},
        selected=(OPEN,),
        waivers=(Waiver(OPEN.clause, "it has no accounts"),),
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_a_situation_has_its_verdicts_exit_status_and_sentence(situation: Situation):
    result = situation.result()
    kinds = {verdict.key: verdict.kind for verdict in result.verdicts}
    assert {key: kinds[key] for key in situation.kinds} == situation.kinds
    assert set(situation.selected) <= set(kinds)
    assert result.exit is situation.status
    assert len(result.stale) == situation.stale
    sentence = closing_sentence(result)
    assert situation.said in sentence
    assert sentence.endswith(f"(exit status {int(situation.status)}).")
    assert "\n" not in sentence


def test_no_situation_is_conforming_without_a_judgement():
    for situation in SITUATIONS:
        result = situation.result()
        if result.exit is Exit.CONFORMING:
            assert any(verdict.kind in (Kind.PASS, Kind.OBSERVED, Kind.FAIL) for verdict in result.verdicts)


def test_a_server_that_was_never_there_has_an_exit_status_of_its_own():
    assert (
        closing_sentence(Result((), (), Exit.USAGE))
        == "NOT JUDGED: nobody answers at the URL (exit status 2)."
    )
