"""Members of requests are named as the text spells them, with regard to case: REFUSE-5, REFUSE-4, PUB-BODY-1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.operation_table import ALIASES, TABLE, PreparedQueue

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: The members of records, which PUB-BODY-1 requires.
_OF_RECORDS = ("messageID", "message")


def _respelt(name: str) -> list[str]:
    """Other spellings of the name of a member that a lenient reader may take for it."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
    spellings = {
        name.upper(),
        name.capitalize(),
        name.title(),
        name.lower(),
        "_".join(words),
        "-".join(words),
        words[0] + "".join(map(str.capitalize, words[1:])),
        f" {name}",
        f"{name} ",
    }
    return sorted(spellings - {name})


@clauses("REFUSE-5", "PUB-BODY-1", "REFUSE-1")
def test_a_member_of_another_spelling_is_missing(bench: Bench) -> None:
    """Send each operation with a required member in another case, with hyphens, in one word or with blanks; expect a
    refusal (4xx) of each, and nothing changed.
    """
    prepared = PreparedQueue(bench)
    for operation in TABLE:
        if operation.path in ALIASES:
            continue
        if operation.extension is not None and not bench.declares(operation.extension):
            continue
        whole = prepared.body(operation)
        for member in operation.required:
            rest = {name: value for name, value in whole.items() if name != member}
            clause = "PUB-BODY-1" if operation.publishes and member in _OF_RECORDS else "REFUSE-5"
            for spelling in _respelt(member):
                if spelling in operation.members or spelling in rest:
                    continue
                reply = prepared.queue.call(prepared.path(operation), {**rest, spelling: whole[member]})
                expect_refusal(bench, reply, clause, f"{member} is missing; {spelling!r} is another member")
    prepared.expect_unchanged("REFUSE-1")


@clauses("REFUSE-4")
def test_other_spellings_beside_a_member_are_ignored(bench: Bench) -> None:
    """Send each operation with other spellings of its members and other values, before and behind the right ones;
    expect it to succeed as it does without them.
    """
    for is_behind in (False, True):
        prepared = PreparedQueue(bench)
        for operation, path, body in prepared.sequence():
            others = {
                spelling: 7 if is_behind else "not-this-one"
                for member in body
                for spelling in _respelt(member)
                if spelling not in operation.members and spelling not in body
            }
            reply = prepared.queue.call(path, {**body, **others} if is_behind else {**others, **body})
            bench.judge(
                "REFUSE-4",
                reply.status in operation.success,
                expected=f"{' or '.join(map(str, operation.success))}, as without the other spellings",
                observed=reply,
            )
