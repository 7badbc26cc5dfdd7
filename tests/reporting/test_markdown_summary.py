"""Cells of Markdown tables."""

from __future__ import annotations

import html

import pytest

from conformance.reporting.markdown_summary import cell


@pytest.mark.parametrize("text", ["`/consumer/poll`", "a & b", "#1 *bold* _it_ [x](y) <b> a|b \\", "&#96;"])
def test_a_reader_of_a_cell_sees_its_text(text: str) -> None:
    """Each character with a meaning is one reference, which itself is not written as others."""
    shown = cell(text)
    assert html.unescape(shown) == text
    assert not set(shown) & set("`*_[]<>|\\")
