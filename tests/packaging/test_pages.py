"""Pages for contributors: links lead somewhere, and the picture of the rooms is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "conformance").rglob("*.md")]
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_MODULE = re.compile(r"`([a-z_]+/[a-z_/]+\.py)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Every relative link of a page names a file or folder of the repository."""
    links = _LINK.findall(page.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_picture_of_the_rooms_has_every_room() -> None:
    """A folder of the suite that is missing in docs/architecture.md is a room that nobody finds."""
    picture = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = [path.parent.name for path in (ROOT / "conformance").glob("*/__init__.py")]
    assert rooms
    assert [room for room in rooms if f"    {room}/" not in picture and f" {room}/" not in picture] == []


def test_modules_that_the_picture_names_exist() -> None:
    """The walk from the command line to a verdict names modules of today."""
    named = _MODULE.findall((ROOT / "docs/architecture.md").read_text("utf-8"))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / "conformance" / name).is_file()] == []


def test_the_walk_names_a_test_of_today() -> None:
    """docs/architecture.md follows a test that exists in the module that it names."""
    walk = (ROOT / "docs/architecture.md").read_text("utf-8")
    test, module = re.search(r"`(test_\w+)` in `([\w/]+\.py)`", walk).groups()
    assert f"def {test}(" in (ROOT / "conformance" / module).read_text("utf-8")
