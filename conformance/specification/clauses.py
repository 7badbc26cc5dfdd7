"""Clauses, read from the text of the specification: `spec/**/*.md` is their only source.

A clause is a list item `- **[ACK-OK-1]** The server MUST …` with one RFC 2119 key word, and optional notes in
italics behind its sentence: `*Classes: …*`, `*Depends on: …*`, `*Not judged: …*`, `*Restates: …*`. A paragraph
`*Classes: …*` gives the classes of all clauses below its heading that name none.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.specification.markdown import HEADING, ITEM, NOTE, SpecError, check_form, paragraphs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: Columns of the table of verdicts; each is also a class.
BINDINGS = (
    "queue-http",
    "queue-stomp",
    "stomp-publish",
    "stomp-1.0",
    "stomp-1.1",
    "stomp-1.2",
    "websocket",
    "tcp",
)
EXTENSIONS = (
    "topic-partitions",
    "topic-limits",
    "record-position",
    "http-publish",
    "negative-acknowledgement",
    "unregister",
    "batch-poll",
    "long-poll",
    "introspection",
    "retention",
    "topic-removal",
    "durable",
    "security",
    "virtual-clock",
    "virtual-clock-per-group",
)
CLASSES = BINDINGS + EXTENSIONS
#: Bindings in which an extension of the queue is judged if the clause names none.
QUEUE_BINDINGS = ("queue-http", "queue-stomp")
#: Bindings of one session of STOMP each, by its version.
VERSION_BINDINGS = ("stomp-1.0", "stomp-1.1", "stomp-1.2")

_PACKAGE = Path(__file__).resolve().parents[1]
_KEY_WORD = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")
_OTHER_KEY_WORD = re.compile(r"\b(REQUIRED|SHALL|RECOMMENDED|OPTIONAL)\b")
_LINK = re.compile(r"\]\(([^)#:]+\.md)")


class Level(enum.Enum):
    """Requirement level of a clause."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


@dataclass(frozen=True)
class Clause:
    """One clause of the text; `source` is its file below `spec/`, `line` the line of its first word."""

    id: str
    text: str
    key_word: str
    classes: tuple[str, ...]
    depends_on: tuple[str, ...]
    not_judged: str | None
    restates: str | None
    chapter: str
    source: str
    line: int

    @functools.cached_property
    def level(self) -> Level:
        """Level of the key word; MUST NOT is a MUST."""
        return Level(self.key_word.split()[0])

    def columns(self, classes: Collection[str], extensions: Collection[str]) -> tuple[str, ...]:
        """Bindings in which the clause is judged on a server that claims `classes` and `extensions`.

        These are the bindings that the clause names, or both bindings of the queue if it names none. An extension
        limits them to servers that declare it; `http-publish` instead adds queue-http on servers that declare it.
        """
        bindings = [name for name in self.classes if name in BINDINGS]
        narrowing = [name for name in self.classes if name in EXTENSIONS and name != "http-publish"]
        if any(name not in extensions for name in narrowing):
            return ()
        if "http-publish" in self.classes:
            if "http-publish" in extensions:
                bindings.append("queue-http")
        elif not bindings:
            bindings.extend(QUEUE_BINDINGS)
        return tuple(name for name in BINDINGS if name in bindings and name in classes)


@dataclass(frozen=True)
class Book:
    """All clauses by id, in the order of the text."""

    clauses: Mapping[str, Clause]
    _depths: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, clause: str) -> Clause:
        return self.clauses[clause]

    def __contains__(self, clause: str) -> bool:
        return clause in self.clauses

    def __iter__(self) -> Iterator[Clause]:
        return iter(self.clauses.values())

    def __len__(self) -> int:
        return len(self.clauses)

    def depth(self, clause: str) -> int:
        """Length of the longest chain of dependencies of the clause; 0 for a root."""
        if clause not in self._depths:
            roots = self.clauses[clause].depends_on
            self._depths[clause] = 1 + max(map(self.depth, roots)) if roots else 0
        return self._depths[clause]

    def ancestors(self, clause: str) -> list[str]:
        """Clauses that this one depends on, directly or not, roots first."""
        found: dict[str, None] = {}
        for root in self.clauses[clause].depends_on:
            found.update(dict.fromkeys([*self.ancestors(root), root]))
        return list(found)


def spec_root() -> Path:
    """Folder of the text: `_spec` in the installed package, `spec` beside it in a checkout. Raises SpecError."""
    for folder in (_PACKAGE / "_spec", _PACKAGE.parent / "spec"):
        if folder.is_dir():
            return folder
    raise SpecError(f"the text is missing: expected it in {_PACKAGE / '_spec'} or {_PACKAGE.parent / 'spec'}")


def spec_file(path: str) -> Path:
    """Path of a file of the specification, such as `vectors/partitioner.json`. Raises SpecError if it is missing."""
    found = spec_root() / path
    if not found.is_file():
        raise SpecError(f"{found} is missing: it is a part of the specification")
    return found


@functools.cache
def book() -> Book:
    """Clauses of the specification that belongs to this suite, read once. Raises SpecError."""
    return read_book(spec_root())


def read_book(root: Path) -> Book:
    """Read every chapter below `root`.

    Raises SpecError if a clause is malformed, has the id of another, or depends on itself or an unknown clause.
    """
    clauses: dict[str, Clause] = {}
    for path in _chapters(root):
        for clause in parse_chapter(path.read_text("utf-8"), path.relative_to(root).as_posix()):
            if (other := clauses.setdefault(clause.id, clause)) is not clause:
                raise SpecError(
                    f"{clause.source}:{clause.line}: {clause.id} is also in {other.source}:{other.line}"
                )
    _check_dependencies(clauses)
    return Book(clauses)


def _chapters(root: Path) -> list[Path]:
    """Chapters in the order of the links in the README, then any others."""
    readme = root / "README.md"
    linked = _LINK.findall(readme.read_text("utf-8")) if readme.is_file() else []
    chapters = [path for link in linked if (path := root / link).is_file()]
    return list(dict.fromkeys([*chapters, *sorted(root.rglob("*.md"))]))


def parse_chapter(text: str, source: str) -> list[Clause]:
    """Clauses of one chapter, whose file is named `source` in messages. Raises SpecError."""
    chapter = source
    defaults: dict[int, tuple[str, ...]] = {}
    level = 0
    found: list[Clause] = []
    for line, paragraph in paragraphs(text, source):
        check_form(paragraph, f"{source}:{line}")
        if heading := HEADING.match(paragraph):
            level = len(heading[1])
            chapter = heading[2].strip() if level == 1 else chapter
            defaults = {depth: classes for depth, classes in defaults.items() if depth < level}
        elif item := ITEM.match(paragraph):
            nearest = defaults[max(defaults)] if defaults else ()
            found.append(_clause(item, paragraph, nearest, chapter, source, line))
        elif (note := NOTE.fullmatch(paragraph.strip())) and note[1] == "Classes":
            defaults[level] = _classes(note[2], f"{source}:{line}")
    return found


def _clause(
    item: re.Match[str], paragraph: str, default: tuple[str, ...], chapter: str, source: str, line: int
) -> Clause:
    where = f"{source}:{line}: {item[1]}"
    body = paragraph[item.end() :]
    notes = {note[1]: " ".join(note[2].split()) for note in NOTE.finditer(body)}
    first_note = NOTE.search(body)
    sentence = " ".join(body[: first_note.start() if first_note else None].split())
    key_words = _KEY_WORD.findall(sentence)
    if len(key_words) != 1 or _OTHER_KEY_WORD.search(sentence):
        raise SpecError(
            f"{where}: expected exactly one of MUST, MUST NOT, SHOULD, SHOULD NOT, MAY; found {key_words}"
        )
    classes = _classes(notes["Classes"], where) if "Classes" in notes else default
    if not classes:
        raise SpecError(f"{where} belongs to no class: give it, or its heading, a note *Classes: ….*")
    return Clause(
        id=item[1],
        text=sentence,
        key_word=key_words[0],
        classes=classes,
        depends_on=_names(notes.get("Depends on", "")),
        not_judged=notes.get("Not judged"),
        restates=notes.get("Restates"),
        chapter=chapter,
        source=source,
        line=line,
    )


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _classes(listed: str, where: str) -> tuple[str, ...]:
    names = _names(listed)
    if unknown := [name for name in names if name not in CLASSES]:
        raise SpecError(f"{where}: {', '.join(unknown)} is no class; there are {', '.join(CLASSES)}")
    return names


def _check_dependencies(clauses: Mapping[str, Clause]) -> None:
    done: set[str] = set()

    def visit(clause: Clause, path: tuple[str, ...]) -> None:
        if clause.id in path:
            raise SpecError(f"{clause.source}:{clause.line}: {' depends on '.join([*path, clause.id])}")
        if clause.id in done:
            return
        for root in clause.depends_on:
            if root not in clauses:
                raise SpecError(
                    f"{clause.source}:{clause.line}: {clause.id} depends on {root}, which is nowhere"
                )
            visit(clauses[root], (*path, clause.id))
        done.add(clause.id)

    for clause in clauses.values():
        visit(clause, ())


def with_prefix(clauses: Iterable[Clause], prefixes: Collection[str]) -> list[Clause]:
    """Clauses whose id is one of `prefixes` or continues one at a hyphen: `ACK` selects ACK-OK-1, not ACKS-1."""
    begins = tuple(f"{prefix.rstrip('-')}-" for prefix in prefixes)
    return [clause for clause in clauses if f"{clause.id}-".startswith(begins)]
