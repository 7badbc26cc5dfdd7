"""Form of the clauses, and required parts of each chapter."""

import re
from pathlib import Path

import pytest

from conformance.models.judging import RECOMMENDED
from conformance.specification.clauses import CLASSES, EXTENSIONS, QUEUE_BINDINGS, Level, book, parse_chapter
from tests.spec.documents import CHAPTERS, QUEUE, ROOT, name_of, prose

_ID = re.compile(r"\b[A-Z]{2}[A-Z0-9]*(?:-[A-Z0-9]+)*-[0-9]+\b")
_KEY_WORD = re.compile(r"\b(MUST|SHOULD|MAY|SHALL|REQUIRED|RECOMMENDED|OPTIONAL)\b")
_NO_IDS = re.compile(r"\bUTF-8\b")


def test_the_whole_text_can_be_read() -> None:
    """All clauses are well formed, with unique ids, known classes, and existing roots without cycles."""
    assert len(book()) > 300


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_every_bold_id_is_a_clause(path: Path) -> None:
    """Every bold id at the start of a list item is read as a clause."""
    text = prose(path)
    found = [clause.id for clause in parse_chapter(path.read_text("utf-8"), name_of(path))]
    assert found == re.findall(r"^- \*\*\[([^\]]+)\]\*\*", text, re.MULTILINE)
    assert len(re.findall(r"\*\*\[", text)) == len(found)


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_every_id_that_a_chapter_mentions_exists(path: Path) -> None:
    """No chapter mentions an unknown clause."""
    mentioned = set(_ID.findall(_NO_IDS.sub("", prose(path))))
    assert {clause for clause in mentioned if clause not in book()} == set()


@pytest.mark.parametrize("path", [path for path in CHAPTERS if path.name != "README.md"], ids=name_of)
def test_a_chapter_opens_with_what_it_covers_and_an_example(path: Path) -> None:
    """A title, an introduction and an exchange come before the first clause."""
    head, clause, _ = path.read_text("utf-8").partition("\n- **[")
    title, *rest = head.split("\n\n")
    assert re.fullmatch(r"# \S.*", title)
    assert rest[0][0].isalpha()
    assert "```" in head or not clause


@pytest.mark.parametrize("path", QUEUE, ids=name_of)
def test_only_clauses_of_the_queue_have_key_words(path: Path) -> None:
    """No explanation has a key word, which would be a requirement without an id."""
    text = prose(path)
    for clause in parse_chapter(text, name_of(path)):
        text = text.replace(clause.text, "", 1)
    assert _KEY_WORD.findall(text) == []


def test_clauses_of_the_queue_belong_to_the_queue() -> None:
    """Clauses in `queue/` name only bindings of the queue and extensions."""
    allowed = {*QUEUE_BINDINGS, "stomp-publish", *EXTENSIONS}
    for clause in book():
        if clause.source.startswith("queue/"):
            assert set(clause.classes) <= allowed, clause.id


def test_every_class_has_a_clause() -> None:
    """Every class has at least one clause."""
    assert {name for clause in book() for name in clause.classes} == set(CLASSES)


def test_every_extension_is_in_the_table_of_extensions() -> None:
    """The chapter on extensions lists exactly the known extensions."""
    table = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "queue/extensions.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(table) == sorted(EXTENSIONS)


def test_few_clauses_are_not_judged() -> None:
    """At most 5 % of the clauses are not judged, each with a reason."""
    unjudged = [clause for clause in book() if clause.not_judged is not None]
    assert len(unjudged) <= 0.05 * len(book())
    assert all(len(clause.not_judged or "") > 30 for clause in unjudged)


def test_a_recommendation_never_carries_a_requirement() -> None:
    """No MUST depends on a SHOULD or a MAY, since a server that deviates would not be judged by it."""
    for clause in book():
        if clause.level is Level.MUST:
            weaker = [root for root in clause.depends_on if book()[root].level is not Level.MUST]
            assert weaker == [], clause.id


def test_the_model_judges_at_the_levels_of_the_text() -> None:
    """The clauses that the models treat as recommendations are SHOULDs of the text."""
    assert {clause: book()[clause].level for clause in RECOMMENDED} == dict.fromkeys(
        RECOMMENDED, Level.SHOULD
    )
