"""Links between the chapters, and the README's list of chapters."""

from pathlib import Path

import pytest

from tests.spec.documents import CHAPTERS, ROOT, anchors, links, name_of


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link names an existing file or folder, and an existing heading."""
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
    """The README links to every chapter and to both API descriptions."""
    listed = {(ROOT / link).resolve() for link in links(ROOT / "README.md")}
    assert {path for path in CHAPTERS if path.name != "README.md"} <= listed
    assert {ROOT / "openapi.yaml", ROOT / "asyncapi.yaml"} <= listed
