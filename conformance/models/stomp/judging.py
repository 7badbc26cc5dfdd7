"""Judge for sessions of one version; clauses that the version lacks are not judged."""

from typing import TYPE_CHECKING

from conformance.specification.clauses import book

if TYPE_CHECKING:
    from conformance.models.judging import Judge


class VersionJudge:
    """Passes assertions about clauses of a version, such as "1.1", to another judge."""

    def __init__(self, judge: "Judge", version: str) -> None:
        self._judge = judge
        self._column = f"stomp-{version}"

    def has(self, clause: str) -> bool:
        """True if the version has the clause."""
        return self._column in book()[clause].classes

    def __call__(self, clause: str | None, ok: bool, /, *, expected: str, observed: object) -> bool:
        """Return the other judge's verdict; True without a clause, or if the version lacks it. May raise Violation."""
        if clause is None or not self.has(clause):
            return True
        return self._judge(clause, ok, expected=expected, observed=observed)
