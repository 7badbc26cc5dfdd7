"""A judge for sessions of one version: what that version doesn't have is not judged."""

from typing import TYPE_CHECKING

from conformance.specification.clauses import book

if TYPE_CHECKING:
    from conformance.models.judging import Judge


class VersionJudge:
    """Hands on the assertions about clauses of a version, such as "1.1", to another judge."""

    def __init__(self, judge: "Judge", version: str) -> None:
        self._judge = judge
        self._column = f"stomp-{version}"

    def has(self, clause: str) -> bool:
        """Whether the version has the clause."""
        return self._column in book()[clause].classes

    def __call__(self, clause: str | None, ok: bool, /, *, expected: str, observed: object) -> bool:
        """Whether nothing is wrong. Raises Violation where a MUST of the version fails; no clause: anything goes."""
        if clause is None or not self.has(clause):
            return True
        return self._judge(clause, ok, expected=expected, observed=observed)
