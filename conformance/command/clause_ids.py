"""Ids of clauses on the command line: a check that says what is wrong with one, and which ids are near it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from conformance.specification.clauses import with_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.specification.clauses import Book

#: Most ids that a message names.
NAMED = 5


def check_ids(option: str, given: Iterable[str], book: Book) -> None:
    """Raises ValueError if one of the ids or prefixes given to `option` selects no clause."""
    for prefix in given:
        if not with_prefix(book, [prefix]):
            reason = _several(option, prefix, book) or _reason(prefix, book)
            raise ValueError(f"{option} {prefix}: {reason} `--list-clauses` shows all ids.")


def _several(option: str, given: str, book: Book) -> str:
    """Sentence on a list where one id is expected; "" if the words between commas and blanks are no ids."""
    words = [word.upper() for word in re.split(r"[\s,;]+", given) if word]
    if len(words) < 2 or not all(with_prefix(book, [word]) for word in words):
        return ""
    return f"expected one id each time, as in {' '.join(f'{option} {word}' for word in words)}."


def _reason(given: str, book: Book) -> str:
    word = given.strip().rstrip("*").strip("-").upper()
    if word and with_prefix(book, [word]):
        return f"no clause has this id, and none begins so; {word} selects {_count(book, word)}."
    cut = [clause.id for clause in book if word and clause.id.startswith(word)]
    if cut:
        whole = word.rpartition("-")[0]
        hint = f" {whole} selects {_count(book, whole)}." if whole else ""
        heads = list(dict.fromkeys(_head(clause, word) for clause in cut))
        return (
            f"no clause has this id, and a prefix ends where a part of the id ends. "
            f"Near it: {_some(heads)}.{hint}"
        )
    near = difflib.get_close_matches(word, _prefixes(book), n=NAMED, cutoff=0.6)
    return f"no clause has this id, and none begins so.{f' Near it: {_some(near)}.' if near else ''}"


def _head(clause: str, word: str) -> str:
    """Shortest prefix of the id that ends with a part and begins with `word`."""
    end = clause.find("-", len(word))
    return clause if end < 0 else clause[:end]


def _prefixes(book: Book) -> list[str]:
    """Every id, and every prefix of one that ends with a part."""
    found: dict[str, None] = {}
    for clause in book:
        parts = clause.id.split("-")
        found.update(dict.fromkeys("-".join(parts[:count]) for count in range(1, len(parts) + 1)))
    return list(found)


def _count(book: Book, prefix: str) -> str:
    number = len(with_prefix(book, [prefix]))
    return f"{number} clause" if number == 1 else f"{number} clauses"


def _some(ids: list[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more
