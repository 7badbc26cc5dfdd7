"""Check of the prose in docstrings and comments: `python .ci/prose.py FOLDER…`.

Reports sentences that open with a question word instead of their subject, and a few phrases that hide the subject.
Exit status: 0 if there are none, 1 if there are some, 2 if a folder has no Python file.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Openings of a sentence, with the advice for each.
OPENINGS = {
    "What": 'begin with the noun: "Reply of …", "Number of …", not "What …"',
    "Whoever": 'name the actor: "A member that …"',
    "Who": 'name the actor: "Owner of …", "A member that …"',
    "Whether": 'write "True if …"',
    "By when": 'begin with the noun: "Latest time …"',
    "Where": 'write "If …", or begin with the noun: "Position of …"',
}
#: Phrases, with the advice for each.
PHRASES = {
    "came of it": 'name it: "the outcome", "the reply"',
    "comes of it": 'name it: "the outcome", "the effect"',
    "is told": 'write "gets", "receives", or name the parameter',
    "are told": 'write "get", "receive", or name the parameter',
    "is no news": 'write "is already known"',
    "nobody minds": "name the rule that allows it",
    "for certain": 'write "must", or leave it out',
    "none of our business": 'name the one that handles it: "… is left to pytest"',
}
#: Start of a text, of a sentence, of a paragraph, or of an item in a list.
_START = r"^\s*|[.!?][\"'`)]*\s+|\n\s*\n\s*(?:(?:[-*]|\d+\.)\s+)?|\n\s*(?:[-*]|\d+\.)\s+"
_SENTENCE = re.compile(rf"(?:{_START})(?P<opening>By\s+when|\w+)\b(?=(?P<rest>[^.!?]*))")
_PHRASE = re.compile(
    r"\b(?:" + "|".join(phrase.replace(" ", r"\s+") for phrase in PHRASES) + r")\b", re.IGNORECASE
)
_DIRECTIVE = re.compile(r"(?:noqa|type):\s*\S+\s*")


class Text(NamedTuple):
    """A docstring or a block of comments; `line` is the number of its first line."""

    line: int
    content: str


class Finding(NamedTuple):
    """A bad opening or phrase; `line` is the line of its first word."""

    line: int
    found: str
    advice: str


def main(folders: list[str]) -> int:
    """Print the findings in all Python files below the folders; returns the exit status."""
    count = 0
    for folder in folders:
        paths = sorted(Path(folder).rglob("*.py"))
        if not paths:
            print(f"{folder}: no Python file to check", file=sys.stderr)
            return 2
        for path in paths:
            for finding in findings(path.read_text("utf-8")):
                count += 1
                print(f"{path}:{finding.line}: {finding.found!r}: {finding.advice}")
    return 1 if count else 0


def findings(source: str) -> list[Finding]:
    """Findings in the source of a module, by line. Raises SyntaxError."""
    found = [finding for text in texts(source) for finding in (*_openings(text), *_phrases(text))]
    return sorted(found)


def texts(source: str) -> Iterator[Text]:
    """Docstrings, also those of attributes, and comments, with adjacent comment lines joined."""
    docstrings = {
        (node.lineno, node.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    block: list[str] = []
    start = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING and token.start in docstrings:
            yield Text(token.start[0], token.string.lstrip("rRbBuU").strip("\"'"))
        if token.type != tokenize.COMMENT:
            continue
        comment = _DIRECTIVE.sub("", token.string.lstrip("#:").strip())
        is_whole_line = not token.line[: token.start[1]].strip()
        if block and is_whole_line and token.start[0] == start + len(block):
            block.append(comment)
            continue
        if block:
            yield Text(start, "\n".join(block))
        block, start = [comment], token.start[0]
    if block:
        yield Text(start, "\n".join(block))


def _openings(text: Text) -> Iterator[Finding]:
    for sentence in _SENTENCE.finditer(text.content):
        word = " ".join(sentence["opening"].split())
        # "Where …, …" is a condition; as the first sentence it leaves the subject for later.
        is_condition = word == "Where" and sentence.start() > 0 and "," in sentence["rest"]
        if word in OPENINGS and not is_condition:
            yield _finding(text, sentence.start("opening"), word, OPENINGS[word])


def _phrases(text: Text) -> Iterator[Finding]:
    for phrase in _PHRASE.finditer(text.content):
        found = " ".join(phrase.group().lower().split())
        yield _finding(text, phrase.start(), found, PHRASES[found])


def _finding(text: Text, position: int, found: str, advice: str) -> Finding:
    return Finding(text.line + text.content.count("\n", 0, position), found, advice)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
