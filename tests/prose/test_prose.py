"""Check of the prose in docstrings and comments, `.ci/prose.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "prose.py"


@pytest.fixture(scope="module")
def prose() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("prose", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prose"] = module
    spec.loader.exec_module(module)
    return module


OPENINGS = ["What", "Who", "Whoever", "Whether", "By when", "Where"]
PHRASES = [
    "came of it",
    "comes of it",
    "is told",
    "are told",
    "is no news",
    "nobody minds",
    "for certain",
    "none of our business",
]


def found(prose: Any, source: str) -> list[tuple[int, str]]:
    """Lines and words of the findings."""
    return [(finding.line, finding.found) for finding in prose.findings(source)]


@pytest.mark.parametrize("word", OPENINGS)
@pytest.mark.parametrize(
    "template",
    [
        '"""{} is allowed."""\n',
        "r'''{} is allowed.'''\n",
        '"""\n{} is allowed.\n"""\n',
        'class Some:\n    """{} is allowed."""\n',
        'def some():\n    """{} is allowed."""\n',
        'class Some:\n    value = 1\n    """{} is allowed."""\n',
        "# {} is allowed.\n",
        "#: {} is allowed.\nLIMIT = 1\n",
        "LIMIT = 1  # {} is allowed\n",
        "LIMIT = 1  # noqa: S105  {} is allowed\n",
    ],
)
def test_a_bad_opening_is_found(prose: Any, word: str, template: str) -> None:
    """The first sentence of every docstring and comment is checked."""
    assert [name for _, name in found(prose, template.format(word))] == [word]


@pytest.mark.parametrize("word", [word for word in OPENINGS if word != "Where"])
@pytest.mark.parametrize(
    "template",
    [
        '"""A value. {} is allowed."""\n',
        '"""A value.\n\n{} is allowed.\n"""\n',
        '"""A value:\n\n- {} is allowed.\n"""\n',
        '"""A value (by default). {} is allowed."""\n',
        "# A value.\n# {} is allowed.\n",
    ],
)
def test_a_bad_opening_of_a_later_sentence_is_found(prose: Any, word: str, template: str) -> None:
    """Later sentences, paragraphs and list items are checked."""
    assert [name for _, name in found(prose, template.format(word))] == [word]


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("template", ['"""A value that {}."""\n', "# A value that {}\n"])
def test_a_phrase_is_found(prose: Any, phrase: str, template: str) -> None:
    """Phrases are found in any case, also across a line break."""
    first, _, rest = phrase.partition(" ")
    assert found(prose, template.format(phrase)) == [(1, phrase)]
    assert found(prose, template.format(phrase.capitalize())) == [(1, phrase)]
    separator = "\n    " if '"""' in template else "\n# "
    assert found(prose, template.format(f"{first}{separator}{rest}")) == [(1, phrase)]


@pytest.mark.parametrize(
    "source",
    [
        '"""True if the server keeps what it was given, wherever it came from."""\n',
        '"""A value. Where the server declares none, 30 seconds."""\n',
        '"""Whatever is sent, memory is bounded."""\n',
        '"""Order of tests: What comes first is not fixed."""\n',
        'TEXT = "What is this?"\n',
        'print("Whether it is told for certain")\n',
        'TEXT = """\nWhat came of it\n"""\n',
        "LIMIT = 1  # what is left\n",
        "# The total\nLIMIT = 1\n# of all\n",
    ],
)
def test_legitimate_prose_passes(prose: Any, source: str) -> None:
    """Conditions, other words, and strings that are no docstrings are no findings."""
    assert found(prose, source) == []


def test_lines_are_those_of_the_sentence(prose: Any) -> None:
    """A finding names the line on which its sentence or phrase begins."""
    source = '''"""A module.

Some words that go on
over two lines. Whether they do is open.
"""

LIMIT = 1  # the limit that
# is told


def some():
    """A function.

    - Who calls it.
    """
    # A comment.
    # What it says.
'''
    assert found(prose, source) == [(4, "Whether"), (8, "is told"), (14, "Who"), (17, "What")]
    assert found(prose, "VALUE = 1\n# One that\n# is told.\n") == [(3, "is told")]


def test_the_command_fails_and_names_file_and_line(
    prose: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 and a line of output per finding; 0 for a clean folder, 2 for one without Python files."""
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "module.py").write_text('"""Value of a thing."""\n', "utf-8")
    (tmp_path / "bad" / "deep").mkdir(parents=True)
    (tmp_path / "bad" / "deep" / "module.py").write_text('"""Module.\n\nWhether it is.\n"""\n', "utf-8")
    (tmp_path / "empty").mkdir()
    assert prose.main([str(tmp_path / "good")]) == 0
    assert capsys.readouterr().out == ""
    assert prose.main([str(tmp_path / "good"), str(tmp_path / "bad")]) == 1
    assert "module.py:3: 'Whether': write" in capsys.readouterr().out
    assert prose.main([str(tmp_path / "empty")]) == 2


def test_every_opening_and_phrase_has_advice(prose: Any) -> None:
    """The tests know all openings and phrases of the check."""
    assert set(prose.OPENINGS) == set(OPENINGS)
    assert set(prose.PHRASES) == set(PHRASES)
    assert all((*prose.OPENINGS.values(), *prose.PHRASES.values()))
