"""Chapters of the text, parsed for the tests: links, headings, fences, the table of operations."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from conformance.specification.clauses import spec_root

ROOT = spec_root()
CHAPTERS = sorted(ROOT.rglob("*.md"))
QUEUE = sorted((ROOT / "queue").glob("*.md"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\| `(/[^`]+)`(?:\\\*)? \| (.*?) \| (.*?) \| (.*?) \| .*\|$", re.MULTILINE)


def name_of(path: Path) -> str:
    """Path below `spec/`, for ids of tests."""
    return path.relative_to(ROOT).as_posix()


class Fence(NamedTuple):
    """A fenced block: its language, "" if it names none, and its text."""

    language: str
    text: str


def fences(path: Path) -> list[Fence]:
    """Fenced blocks of a chapter, in order."""
    return [Fence(language, text) for language, text in _FENCE.findall(path.read_text("utf-8"))]


def prose(path: Path) -> str:
    """Text of a chapter without its fenced blocks."""
    return _FENCE.sub("", path.read_text("utf-8"))


def links(path: Path) -> list[str]:
    """Targets of the links of a chapter."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """Fragments of the headings of a chapter, as common renderers make them."""
    headings = re.findall(r"^#{1,6} +(.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


class Operation(NamedTuple):
    """A row of the table of operations."""

    path: str
    successes: frozenset[int]
    refusals: frozenset[int]


def operations() -> list[Operation]:
    """Rows of the table of operations; "the same" repeats the row above."""
    rows: list[Operation] = []
    for path, _request, success, refused in _ROW.findall((ROOT / "queue/model.md").read_text("utf-8")):
        if success == "the same":
            rows.append(rows[-1]._replace(path=path))
        else:
            rows.append(Operation(path, _statuses(success), _statuses(refused)))
    return rows


def _statuses(cell: str) -> frozenset[int]:
    return frozenset(int(number) for number in re.findall(r"\b[2-5][0-9]{2}\b", cell))


def read_yaml(name: str) -> Any:
    """A YAML file beside the chapters."""
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def references(document: Any) -> list[str]:
    """Every `$ref` in a document."""
    if isinstance(document, dict):
        found = [document["$ref"]] if isinstance(document.get("$ref"), str) else []
        return found + [ref for value in document.values() for ref in references(value)]
    if isinstance(document, list):
        return [ref for value in document for ref in references(value)]
    return []


def pointed_to(document: Any, pointer: str) -> Any:
    """Target of a local reference such as `#/channels/poll`. Raises KeyError."""
    for part in pointer.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document
