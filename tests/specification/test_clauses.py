"""Reader of the text: recognised clauses, and errors with file and line."""

import pytest

from conformance.specification.clauses import Level, book, parse_chapter, read_book, with_prefix
from conformance.specification.markdown import SpecError
from tests.verdicts import books

CHAPTER = """\
# Receipts

What the chapter covers, where the server MUST do nothing.

*Classes: stomp-1.1, stomp-1.2.*

```
- **[IN-CODE-1]** The server MUST not be read here.
```

- **[RECEIPT-1]** The server MUST answer a frame
  that asks for a receipt. *Depends on: RECEIPT-2.*

  A remark, which is no part of the clause.

- **[RECEIPT-2]** The server MAY wait.
  *Classes: stomp-1.0.* *Not judged: waiting can't
  be seen.* *Restates: STOMP 1.2, RECEIPT.*

## Elsewhere
*Classes: queue-http.*

- **[RECEIPT-3]** The server SHOULD NOT answer twice.
- **[RECEIPT-OF-A-KIND-4]** The server MUST NOT lie.

# Another chapter

- **[OTHER-1]** The server SHOULD know. *Classes: websocket.*
"""


def test_a_clause_has_what_its_item_says():
    first = {clause.id: clause for clause in parse_chapter(CHAPTER, "receipts.md")}["RECEIPT-1"]
    assert first.text == "The server MUST answer a frame that asks for a receipt."
    assert first.key_word == "MUST"
    assert first.classes == ("stomp-1.1", "stomp-1.2")
    assert first.depends_on == ("RECEIPT-2",)
    assert first.not_judged is None
    assert (first.chapter, first.source, first.line) == ("Receipts", "receipts.md", 11)


def test_notes_may_run_over_lines_and_go_before_the_heading():
    second = {clause.id: clause for clause in parse_chapter(CHAPTER, "receipts.md")}["RECEIPT-2"]
    assert second.classes == ("stomp-1.0",)
    assert second.not_judged == "waiting can't be seen"
    assert second.restates == "STOMP 1.2, RECEIPT"
    assert second.text == "The server MAY wait."


def test_code_and_prose_are_no_clauses():
    ids = [clause.id for clause in parse_chapter(CHAPTER, "receipts.md")]
    assert ids == ["RECEIPT-1", "RECEIPT-2", "RECEIPT-3", "RECEIPT-OF-A-KIND-4", "OTHER-1"]


def test_classes_hold_below_their_heading_only():
    classes = {clause.id: clause.classes for clause in parse_chapter(CHAPTER, "receipts.md")}
    assert classes["RECEIPT-3"] == classes["RECEIPT-OF-A-KIND-4"] == ("queue-http",)
    assert classes["OTHER-1"] == ("websocket",)
    with pytest.raises(SpecError, match="OTHER-1 belongs to no class"):
        parse_chapter(CHAPTER.replace(" *Classes: websocket.*", ""), "receipts.md")


def test_a_chapter_is_called_by_the_heading_above():
    chapters = {clause.id: clause.chapter for clause in parse_chapter(CHAPTER, "receipts.md")}
    assert chapters["RECEIPT-3"] == "Receipts"
    assert chapters["OTHER-1"] == "Another chapter"


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("MUST", Level.MUST),
        ("MUST NOT", Level.MUST),
        ("SHOULD", Level.SHOULD),
        ("SHOULD NOT", Level.SHOULD),
        ("MAY", Level.MAY),
    ],
)
def test_the_level_is_that_of_the_key_word(word: str, level: Level):
    [clause] = parse_chapter(f"- **[A-1]** It {word} sing. *Classes: websocket.*", "a.md")
    assert clause.key_word == word
    assert clause.level is level


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- **[A-1]** The server sings. *Classes: websocket.*", "exactly one of"),
        ("- **[A-1]** It MUST sing and MAY dance. *Classes: websocket.*", "exactly one of"),
        ("- **[A-1]** It MUST sing, which is REQUIRED. *Classes: websocket.*", "exactly one of"),
        ("- **[A-1]** It SHALL sing. *Classes: websocket.*", "exactly one of"),
        ("- **[A-1]** It MUST sing.", "belongs to no class"),
        ("- **[A-1]** It MUST sing. *Classes: opera.*", "opera is no class"),
        ("*Classes: opera.*", "opera is no class"),
        ("- **[a-1]** It MUST sing. *Classes: websocket.*", "looks like a clause"),
        ("- **[SING]** It MUST sing. *Classes: websocket.*", "looks like a clause"),
        ("- **[A-1]**It MUST sing. *Classes: websocket.*", "looks like a clause"),
        ("* **[A-1]** It MUST sing. *Classes: websocket.*", "looks like a clause"),
        ("1. **[A-1]** It MUST sing. *Classes: websocket.*", "looks like a clause"),
        ("Text:\n  - **[A-1]** It MUST sing. *Classes: websocket.*", "looks like a clause"),
        (
            "- **[A-1]** It MUST sing.\n  - **[A-2]** It MUST hum. *Classes: websocket.*",
            "looks like a clause",
        ),
        ("- **[A-1]** It MUST sing. *Class: websocket.*", "notes"),
        ("- **[A-1]** It MUST sing. *Classes: websocket.* *Depend on: A-2.*", "notes"),
        ("- **[A-1]** It MUST sing. *Classes: websocket.* *Classes: stomp-1.2.*", "notes"),
        ("- **[A-1]** It MUST sing. *Classes: websocket.*and so on", "notes"),
        ("```\n- **[A-1]** It MUST sing. *Classes: websocket.*", "has no end"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(text: str, said: str):
    with pytest.raises(SpecError, match=said) as raised:
        parse_chapter(f"# Title\n\n{text}\n", "a.md")
    assert str(raised.value).startswith("a.md:")


def test_emphasis_in_a_sentence_is_no_note():
    [clause] = parse_chapter("- **[A-1]** It MUST *Always* sing *so*: loud. *Classes: websocket.*", "a.md")
    assert clause.text == "It MUST *Always* sing *so*: loud."


def write(folder, **chapters: str):
    for name, text in chapters.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    return folder


def item(clause: str, depends_on: str = "") -> str:
    note = f" *Depends on: {depends_on}.*" if depends_on else ""
    return f"- **[{clause}]** The server MUST do it. *Classes: websocket.*{note}\n"


def test_a_book_is_read_from_all_chapters_below_its_folder(tmp_path):
    (tmp_path / "more").mkdir()
    write(tmp_path, b=item("B-1", "A-1"))
    write(tmp_path / "more", a=item("A-1"))
    read = read_book(tmp_path)
    assert {clause.id: clause.source for clause in read} == {"B-1": "b.md", "A-1": "more/a.md"}


def test_an_id_is_used_once(tmp_path):
    with pytest.raises(SpecError, match=r"b\.md:2: A-1 is also in a\.md:1"):
        read_book(write(tmp_path, a=item("A-1"), b="\n" + item("A-1")))


def test_a_clause_depends_on_clauses_that_exist(tmp_path):
    with pytest.raises(SpecError, match="A-1 depends on A-7, which is nowhere"):
        read_book(write(tmp_path, a=item("A-1", "A-7")))


@pytest.mark.parametrize("circle", [{"A-1": "A-1"}, {"A-1": "A-2", "A-2": "A-3", "A-3": "A-1"}])
def test_dependencies_have_no_circles(tmp_path, circle):
    with pytest.raises(SpecError, match="A-1 depends on"):
        read_book(write(tmp_path, a="".join(item(*pair) for pair in circle.items())))


def test_ancestors_come_roots_first():
    small = books.book()
    assert small.ancestors("ACCOUNT-PAY-2") == ["ACCOUNT-OPEN-1", "ACCOUNT-PAY-1"]
    assert [small.depth(clause) for clause in ("ACCOUNT-OPEN-1", "ACCOUNT-PAY-1", "ACCOUNT-PAY-2")] == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("prefix", "ids"),
    [
        ("ACCOUNT-PAY", ["ACCOUNT-PAY-1", "ACCOUNT-PAY-2", "ACCOUNT-PAY-3"]),
        ("ACCOUNT-PAY-", ["ACCOUNT-PAY-1", "ACCOUNT-PAY-2", "ACCOUNT-PAY-3"]),
        ("ACCOUNT-PAY-1", ["ACCOUNT-PAY-1"]),
        ("ACC", []),
        ("ACCOUNT-P", []),
        ("", []),
    ],
)
def test_a_prefix_ends_at_a_hyphen(prefix: str, ids: list[str]):
    assert [clause.id for clause in with_prefix(books.book(), [prefix])] == ids


COLUMNS = [
    # classes of the clause; classes and extensions of the server; columns
    ("queue-http, queue-stomp", {"queue-http"}, set(), ("queue-http",)),
    ("queue-http, queue-stomp", {"stomp-1.2"}, set(), ()),
    ("stomp-1.2, stomp-1.0", {"stomp-1.0", "stomp-1.2"}, set(), ("stomp-1.0", "stomp-1.2")),
    ("long-poll", {"queue-http", "queue-stomp"}, {"long-poll"}, ("queue-http", "queue-stomp")),
    ("long-poll", {"queue-http", "queue-stomp"}, set(), ()),
    ("long-poll", {"stomp-1.2"}, {"long-poll"}, ()),
    ("queue-stomp, long-poll", {"queue-http", "queue-stomp"}, {"long-poll"}, ("queue-stomp",)),
    ("long-poll, batch-poll", {"queue-http"}, {"long-poll"}, ()),
    ("long-poll, batch-poll", {"queue-http"}, {"long-poll", "batch-poll"}, ("queue-http",)),
    ("queue-stomp, http-publish", {"queue-http", "queue-stomp"}, set(), ("queue-stomp",)),
    ("queue-stomp, http-publish", {"queue-http"}, {"http-publish"}, ("queue-http",)),
    ("http-publish", {"queue-http", "queue-stomp"}, {"http-publish"}, ("queue-http",)),
    ("http-publish", {"queue-http", "queue-stomp"}, set(), ()),
]


@pytest.mark.parametrize(("classes", "claimed", "extensions", "columns"), COLUMNS)
def test_a_clause_is_judged_where_its_classes_are_claimed(classes, claimed, extensions, columns):
    [clause] = parse_chapter(f"- **[A-1]** It MUST sing. *Classes: {classes}.*", "a.md")
    assert clause.columns(claimed, extensions) == columns


def test_the_text_of_this_suite_can_be_read():
    assert len(book()) > 100
