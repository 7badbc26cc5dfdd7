"""Counts of deliveries in words."""

import pytest

from conformance.suite.queue.delivery_counts import in_words


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"a": 1, "b": 1, "c": 1}, "3 of 3 records came once"),
        ({"a": 1, "b": 1}, "2 of 3 records came once, 1 never came ('c')"),
        ({"a": 2, "b": 3, "c": 1}, "1 of 3 records came once, 1 came twice ('a'), 1 came 3 times ('b')"),
        (
            {"x": 1},
            "0 of 3 records came once, 3 never came ('a', 'b', 'c'), 1 came that nobody had published ('x')",
        ),
    ],
)
def test_every_count_has_its_words(seen: dict[str, int], said: str) -> None:
    assert in_words(seen, ["a", "b", "c"]) == said


def test_long_lists_are_cut() -> None:
    texts = [f"record {number}" for number in range(30)]
    said = in_words({}, texts)
    assert "30 never came ('record 0', " in said
    assert said.endswith("and 25 more)")
