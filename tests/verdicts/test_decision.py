"""Verdicts from tallies; blocking by roots; waivers."""

import pytest

from conformance.verdicts.decision import decide, unjudged
from conformance.verdicts.verdicts import Exit, Failure, Key, Kind, Share, Stop, Tally, Verdict, Waiver
from tests.verdicts import books

BOOK = books.book()
HTTP = "queue-http"
STOMP = "queue-stomp"


def failure(clause: str, binding: str = HTTP, observed: str = "silence") -> Failure:
    return Failure(clause, binding, "test_it", "an answer", observed)


def failed(clause: str, binding: str = HTTP, **more) -> Tally:
    return Tally(tests={"test_it"}, broken=1, failures=[failure(clause, binding)], **more)


def held(times: int = 1, **more) -> Tally:
    return Tally(tests={"test_it"}, held=times, **more)


def verdicts(tallies: dict[Key, Tally], *more: Key, waivers: tuple[Waiver, ...] = ()) -> dict[Key, Verdict]:
    result = decide(BOOK, {*tallies, *more}, tallies, waivers)
    return {verdict.key: verdict for verdict in result.verdicts}


def verdict_on(clause: str, tally: Tally) -> Verdict:
    key = Key(clause, HTTP if clause.startswith("ACCOUNT") else "stomp-1.2")
    return verdicts({key: tally})[key]


MUST, SHOULD, MAY, NOT_JUDGED = "ACCOUNT-OPEN-1", "ACCOUNT-PAY-2", "ACCOUNT-PAY-3", "TALK-3"
RECORDS = [
    # record; clause; tally; verdict; part of the reason
    ("an assertion that failed", MUST, failed(MUST), Kind.FAIL, "silence"),
    ("an assertion that failed", SHOULD, failed(SHOULD), Kind.DEVIATION, "silence"),
    ("an assertion that failed", MAY, failed(MAY), Kind.OBSERVED, "silence"),
    ("an assertion that held", MUST, held(), Kind.PASS, ""),
    ("an assertion that held", SHOULD, held(), Kind.PASS, ""),
    ("an assertion that held", MAY, held(), Kind.OBSERVED, ""),
    ("both", MUST, failed(MUST, held=1000), Kind.FAIL, "silence"),
    ("a failure and a mistake of the suite", MUST, failed(MUST, errors=["KeyError"]), Kind.FAIL, "silence"),
    ("a failure, then the end of the run", MUST, failed(MUST, never_run=["Ctrl-C"]), Kind.FAIL, "silence"),
    ("a mistake of the suite", MUST, Tally(errors=["KeyError"]), Kind.ERROR, "KeyError"),
    ("it held, then a mistake", MUST, held(errors=["KeyError"]), Kind.ERROR, "KeyError"),
    ("it held, another test never came", MUST, held(never_run=["Ctrl-C"]), Kind.INCONCLUSIVE, "Ctrl-C"),
    ("a skip of one test, a pass of another", MUST, held(skips=["no clock"]), Kind.PASS, ""),
    ("its test stopped elsewhere, another passed", MUST, held(stops=[Stop("t", SHOULD)]), Kind.PASS, ""),
    ("its test stopped elsewhere", MUST, Tally(stops=[Stop("t", "TALK-1")]), Kind.BLOCKED, "TALK-1"),
    ("stopped, and skipped", MUST, Tally(stops=[Stop("t", "TALK-1")], skips=["no clock"]), Kind.BLOCKED, ""),
    (
        "its test never asserted it",
        MUST,
        Tally(tests={"t"}, stops=[Stop("t", None)]),
        Kind.INCONCLUSIVE,
        "ended",
    ),
    ("a reason to skip", MUST, Tally(tests={"t"}, skips=["no clock"]), Kind.SKIPPED, "no clock"),
    ("nothing, and it can't be judged", NOT_JUDGED, Tally(), Kind.SKIPPED, "it binds the client"),
    ("it can't be judged, and was all the same", NOT_JUDGED, held(), Kind.PASS, ""),
    ("no test", MUST, Tally(), Kind.INCONCLUSIVE, "no test names it"),
    ("something seen", MAY, Tally(observations=["it rounds", "up", "up"]), Kind.OBSERVED, "it rounds; up"),
    ("seen, and asserted", MAY, held(observations=["it rounds"]), Kind.OBSERVED, "it rounds"),
    # An observation alone says nothing about a requirement.
    ("seen, but not asserted", MUST, Tally(observations=["it hums"]), Kind.INCONCLUSIVE, "it hums"),
    ("seen, and asserted", MUST, held(observations=["it hums"]), Kind.PASS, ""),
    ("seen, and broken", SHOULD, failed(SHOULD, observations=["it hums"]), Kind.DEVIATION, "silence"),
]


@pytest.mark.parametrize(("record", "clause", "tally", "kind", "reason"), RECORDS)
def test_a_record_leads_to_a_verdict(record: str, clause: str, tally: Tally, kind: Kind, reason: str):
    verdict = verdict_on(clause, tally)
    assert verdict.kind is kind
    assert reason in verdict.reason
    assert kind is not Kind.PASS or verdict.reason == ""
    assert verdict.asserted == tally.held + tally.broken


def test_every_kind_of_verdict_is_reached():
    assert {row[3] for row in RECORDS} == set(Kind)


def test_evidence_stays_with_its_verdict():
    assert verdict_on(MUST, failed(MUST)).failures == (failure(MUST),)


# Roots: ACCOUNT-PAY-2 and ACCOUNT-CLOSE-1 depend on ACCOUNT-PAY-1, that on ACCOUNT-OPEN-1.

ROOT, MIDDLE, LEAF, OTHER_LEAF = "ACCOUNT-OPEN-1", "ACCOUNT-PAY-1", "ACCOUNT-PAY-2", "ACCOUNT-CLOSE-1"


@pytest.mark.parametrize(
    "follower",
    [failed(OTHER_LEAF), Tally(tests={"t"}), Tally(tests={"t"}, stops=[Stop("t", None)])],
    ids=["failed", "not asserted", "stopped"],
)
def test_what_depends_on_a_broken_clause_is_blocked(follower: Tally):
    found = verdicts({Key(MIDDLE, HTTP): failed(MIDDLE), Key(OTHER_LEAF, HTTP): follower})
    assert found[Key(MIDDLE, HTTP)].kind is Kind.FAIL
    assert found[Key(OTHER_LEAF, HTTP)].kind is Kind.BLOCKED
    assert found[Key(OTHER_LEAF, HTTP)].roots == (MIDDLE,)
    assert MIDDLE in found[Key(OTHER_LEAF, HTTP)].reason
    assert not found[Key(OTHER_LEAF, HTTP)].counts


def test_a_chain_of_failures_counts_once_at_its_root():
    tallies = {Key(clause, HTTP): failed(clause) for clause in (ROOT, MIDDLE, LEAF, OTHER_LEAF)}
    found = verdicts(tallies)
    assert [verdict.key.clause for verdict in found.values() if verdict.counts] == [ROOT]
    assert found[Key(LEAF, HTTP)].roots == (ROOT, MIDDLE)


def test_a_root_that_is_far_away_blocks_too():
    found = verdicts(
        {Key(ROOT, HTTP): failed(ROOT), Key(MIDDLE, HTTP): held(), Key(LEAF, HTTP): failed(LEAF)}
    )
    assert found[Key(MIDDLE, HTTP)].kind is Kind.PASS
    assert found[Key(LEAF, HTTP)].kind is Kind.BLOCKED


@pytest.mark.parametrize(
    ("follower", "kind"),
    [
        (held(), Kind.PASS),
        (Tally(errors=["KeyError"]), Kind.ERROR),
        (Tally(skips=["no clock"]), Kind.SKIPPED),
        (Tally(never_run=["Ctrl-C"]), Kind.INCONCLUSIVE),
    ],
)
def test_a_broken_root_changes_nothing_else(follower: Tally, kind: Kind):
    found = verdicts({Key(MIDDLE, HTTP): failed(MIDDLE), Key(OTHER_LEAF, HTTP): follower})
    assert found[Key(OTHER_LEAF, HTTP)].kind is kind


@pytest.mark.parametrize(
    "root",
    [held(), Tally(errors=["KeyError"]), Tally(skips=["no clock"]), Tally(never_run=["Ctrl-C"]), Tally()],
    ids=["held", "error", "skipped", "never run", "no test"],
)
def test_only_what_is_broken_blocks(root: Tally):
    found = verdicts({Key(MIDDLE, HTTP): root, Key(OTHER_LEAF, HTTP): failed(OTHER_LEAF)})
    assert found[Key(OTHER_LEAF, HTTP)].kind is Kind.FAIL


def test_a_root_counts_in_the_binding_of_its_follower():
    found = verdicts(
        {
            Key(MIDDLE, HTTP): held(),
            Key(MIDDLE, STOMP): failed(MIDDLE, STOMP),
            Key(OTHER_LEAF, HTTP): failed(OTHER_LEAF),
            Key(OTHER_LEAF, STOMP): failed(OTHER_LEAF, STOMP),
        }
    )
    assert found[Key(OTHER_LEAF, HTTP)].kind is Kind.FAIL
    assert found[Key(OTHER_LEAF, STOMP)].kind is Kind.BLOCKED


def test_a_root_without_a_verdict_in_that_binding_counts_where_it_has_one():
    found = verdicts({Key(MIDDLE, STOMP): failed(MIDDLE, STOMP), Key(OTHER_LEAF, HTTP): failed(OTHER_LEAF)})
    assert found[Key(OTHER_LEAF, HTTP)].kind is Kind.BLOCKED


def test_a_root_of_the_queues_other_binding_only_is_no_excuse():
    """A clause of both bindings depends on the roots of both, and is blocked in each by that binding's roots."""
    book = books.book(
        "# Two roots\n\n*Classes: queue-http.*\n\n- **[POST-1]** It MUST take a POST.\n",
        "# Others\n\n*Classes: queue-stomp.*\n\n- **[TALK-1]** It MUST talk.\n- **[SEND-1]** It MUST take a SEND.\n"
        "  *Depends on: TALK-1.*\n- **[BOTH-1]** It MUST do so in both.\n"
        "  *Classes: queue-http, queue-stomp.* *Depends on: POST-1, SEND-1.*\n"
        "- **[PUBLISH-1]** It MUST publish.\n  *Classes: queue-stomp, http-publish.*\n"
        "- **[READ-1]** It MUST give what was published.\n"
        "  *Classes: queue-http, queue-stomp.* *Depends on: PUBLISH-1.*\n",
    )

    def kinds(*broken: tuple[str, str]) -> dict[Key, Kind]:
        tallies = {Key(*key): failed(*key) for key in broken}
        return {verdict.key: verdict.kind for verdict in decide(book, set(tallies), tallies).verdicts}

    for root in ("TALK-1", "SEND-1"):
        found = kinds((root, STOMP), ("BOTH-1", HTTP), ("BOTH-1", STOMP))
        assert found[Key("BOTH-1", HTTP)] is Kind.FAIL
        assert found[Key("BOTH-1", STOMP)] is Kind.BLOCKED
    found = kinds(("POST-1", HTTP), ("BOTH-1", HTTP), ("BOTH-1", STOMP))
    assert found[Key("BOTH-1", HTTP)] is Kind.BLOCKED
    assert found[Key("BOTH-1", STOMP)] is Kind.FAIL
    # Records are published over STOMP for lack of http-publish: then the root of queue-stomp does count.
    assert kinds(("PUBLISH-1", STOMP), ("READ-1", HTTP))[Key("READ-1", HTTP)] is Kind.BLOCKED


def test_a_root_of_other_versions_only_is_no_excuse():
    """A clause of several versions of STOMP is blocked in each by the roots that this version has."""
    book = books.book(
        "# Newest\n\n*Classes: stomp-1.2.*\n\n- **[NEWEST-1]** It MUST name each.\n",
        "# All\n\n*Classes: stomp-1.1, stomp-1.2.*\n\n- **[ALL-1]** It MUST take what was named.\n"
        "  *Depends on: NEWEST-1.*\n",
    )
    tallies = {
        Key(clause, binding): failed(clause, binding)
        for clause, binding in (("NEWEST-1", "stomp-1.2"), ("ALL-1", "stomp-1.1"), ("ALL-1", "stomp-1.2"))
    }
    found = {verdict.key: verdict.kind for verdict in decide(book, set(tallies), tallies).verdicts}
    assert found[Key("ALL-1", "stomp-1.1")] is Kind.FAIL
    assert found[Key("ALL-1", "stomp-1.2")] is Kind.BLOCKED


# Selection


def test_a_failure_counts_also_where_its_clause_was_not_selected():
    tallies = {Key(MIDDLE, HTTP): failed(MIDDLE), Key(ROOT, HTTP): held()}
    result = decide(BOOK, [Key(OTHER_LEAF, HTTP)], tallies)
    assert [(verdict.key.clause, verdict.kind) for verdict in result.verdicts] == [
        (MIDDLE, Kind.FAIL),
        (OTHER_LEAF, Kind.BLOCKED),
    ]


def test_verdicts_come_in_the_order_of_the_text():
    keys = [Key(clause.id, binding) for clause in BOOK for binding in (HTTP, STOMP)]
    result = decide(BOOK, list(reversed(keys)), {})
    assert [verdict.key for verdict in result.verdicts] == keys


def test_unjudged_are_those_that_say_nothing_about_the_server():
    result = decide(BOOK, [Key(MUST, HTTP), Key(MIDDLE, HTTP), Key(SHOULD, HTTP)], {Key(MUST, HTTP): held()})
    assert [verdict.key.clause for verdict in unjudged(result.verdicts)] == [MIDDLE]


# Waivers


def test_a_waiver_takes_the_verdict_off_the_account():
    waiver = Waiver(MUST, "it is too old")
    found = verdicts({Key(MUST, HTTP): failed(MUST)}, waivers=(waiver,))[Key(MUST, HTTP)]
    assert found.kind is Kind.FAIL
    assert found.waiver == "it is too old"
    assert not found.counts


def test_a_waiver_holds_in_its_bindings_only():
    waiver = Waiver(MUST, "it is too old", (STOMP,))
    tallies = {Key(MUST, HTTP): failed(MUST), Key(MUST, STOMP): failed(MUST, STOMP)}
    found = verdicts(tallies, waivers=(waiver,))
    assert found[Key(MUST, HTTP)].counts
    assert not found[Key(MUST, STOMP)].counts


@pytest.mark.parametrize("tally", [held(), Tally(errors=["KeyError"]), Tally(skips=["no clock"])])
def test_a_waiver_is_only_for_what_is_broken(tally: Tally):
    found = verdicts({Key(MUST, HTTP): tally}, waivers=(Waiver(MUST, "it is too old"),))
    assert found[Key(MUST, HTTP)].waiver is None


def test_a_waived_root_blocks_its_followers():
    tallies = {Key(MIDDLE, HTTP): failed(MIDDLE), Key(OTHER_LEAF, HTTP): failed(OTHER_LEAF)}
    found = verdicts(tallies, waivers=(Waiver(MIDDLE, "it is too old"),))
    assert not any(verdict.counts for verdict in found.values())


@pytest.mark.parametrize(
    ("http", "stomp", "is_stale"),
    [
        (held(), held(), True),
        (held(), Tally(skips=["no clock"]), True),
        (held(), failed(MUST, STOMP), False),
        (failed(MUST), held(), False),
        (held(), Tally(never_run=["Ctrl-C"]), False),
        (held(), Tally(errors=["KeyError"]), False),
        (Tally(skips=["no clock"]), Tally(skips=["no clock"]), False),
        (Tally(), Tally(), False),
    ],
)
def test_a_waiver_is_stale_when_all_that_it_excuses_was_judged_and_holds(http, stomp, is_stale):
    waiver = Waiver(MUST, "it is too old")
    result = decide(BOOK, [], {}, [waiver])
    assert result.stale == (), "nothing was selected"
    keys = {Key(MUST, HTTP): http, Key(MUST, STOMP): stomp}
    assert bool(decide(BOOK, keys, keys, [waiver]).stale) is is_stale


def test_a_waiver_for_one_binding_looks_at_that_one():
    keys = {Key(MUST, HTTP): held(), Key(MUST, STOMP): failed(MUST, STOMP)}
    waiver = Waiver(MUST, "it is too old", (HTTP,))
    assert decide(BOOK, keys, keys, [waiver]).stale == (waiver,)


# A waiver excuses its clause, not what rests on it.

WAIVED_ROOT = (Waiver(ROOT, "It opens nothing."),)
BEHIND = {Key(clause, HTTP): Tally(stops=[Stop("t", ROOT)]) for clause in (MIDDLE, LEAF, OTHER_LEAF)}


def test_a_waived_root_that_blocks_most_of_a_class_makes_the_run_inconclusive():
    tallies = {Key(ROOT, HTTP): failed(ROOT), **BEHIND}
    result = decide(BOOK, set(tallies), tallies, WAIVED_ROOT)
    assert result.exit is Exit.INCONCLUSIVE
    # The root itself was judged; MIDDLE and OTHER_LEAF are requirements, LEAF is a recommendation.
    assert result.hardly_judged == (Share(HTTP, 2, 3),)


def test_half_of_a_class_is_enough():
    """Strictly more than half must be unjudged."""
    tallies = {
        Key(ROOT, HTTP): failed(ROOT),
        Key(MIDDLE, HTTP): held(),
        Key(OTHER_LEAF, HTTP): Tally(stops=[Stop("t", ROOT)]),
    }
    result = decide(BOOK, set(tallies), tallies, WAIVED_ROOT)
    assert (result.exit, result.hardly_judged) == (Exit.CONFORMING, ())


def test_one_class_is_not_saved_by_another():
    tallies = {Key(ROOT, HTTP): failed(ROOT), **BEHIND}
    tallies |= {Key(clause, STOMP): held() for clause in (ROOT, MIDDLE, OTHER_LEAF)}
    waivers = (Waiver(ROOT, "It opens nothing.", (HTTP,)),)
    assert decide(BOOK, set(tallies), tallies, waivers).exit is Exit.INCONCLUSIVE


def test_skipped_clauses_and_those_of_denied_features_do_not_count():
    """Features that the facts of a target deny are not claimed."""
    tallies = {Key(ROOT, HTTP): failed(ROOT), **BEHIND}
    result = decide(BOOK, set(tallies), tallies, WAIVED_ROOT, denied={ROOT})
    assert (result.exit, result.hardly_judged) == (Exit.CONFORMING, ())
    skipped = {key: Tally(skips=["no cents"]) for key in BEHIND}
    tallies = {Key(ROOT, HTTP): held(), **skipped}
    assert decide(BOOK, set(tallies), tallies).exit is Exit.CONFORMING


def test_a_broken_requirement_outranks_what_could_not_be_judged():
    tallies = {Key(ROOT, HTTP): failed(ROOT), **BEHIND}
    assert decide(BOOK, set(tallies), tallies).exit is Exit.NOT_CONFORMING


def test_an_excluded_clause_is_skipped_whatever_was_recorded():
    tallies = {Key(ROOT, HTTP): failed(ROOT), Key(MIDDLE, HTTP): held()}
    result = decide(BOOK, set(tallies), tallies, excluded={ROOT})
    first, second = result.verdicts
    assert (first.kind, first.is_excluded, first.counts, first.failures) == (Kind.SKIPPED, True, False, ())
    assert (second.kind, second.is_excluded) == (Kind.PASS, False)
    assert result.exit is Exit.CONFORMING


def test_a_stale_waiver_counts_where_that_is_asked_for():
    tallies = {Key(ROOT, HTTP): held()}
    assert decide(BOOK, set(tallies), tallies, WAIVED_ROOT).exit is Exit.CONFORMING
    strict = decide(BOOK, set(tallies), tallies, WAIVED_ROOT, stale_counts=True)
    assert (strict.exit, strict.stale) == (Exit.NOT_CONFORMING, WAIVED_ROOT)
