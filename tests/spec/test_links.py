"""Links between the chapters, and the list of chapters in the README."""

from pathlib import Path

import pytest

from tests.spec.documents import CHAPTERS, ROOT, anchors, links, name_of


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link names a file or folder of the text, and its fragment a heading there."""
    for link in links(path):
        if "://" in link:
            continue
        target, _, fragment = link.partition("#")
        other = (path.parent / target).resolve() if target else path
        assert other.is_relative_to(ROOT), link
        assert other.exists(), link
        if fragment:
            assert fragment in anchors(other), link


def test_the_readme_lists_every_chapter() -> None:
    """A chapter that nobody can find is not a part of the text."""
    listed = {(ROOT / link).resolve() for link in links(ROOT / "README.md")}
    assert {path for path in CHAPTERS if path.name != "README.md"} <= listed
    assert {ROOT / "openapi.yaml", ROOT / "asyncapi.yaml"} <= listed
