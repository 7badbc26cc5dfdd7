"""Places for connections below a declared limit: the waits for them are bounded, alone and together."""

from __future__ import annotations

import time

from conformance.wire.places import IN_VAIN_SECONDS, OWN_PLACE_SECONDS, Places


def test_waits_in_vain_for_a_place_of_the_tests_own_are_bounded_together():
    places, holder = Places(), object()
    places.most = 1
    assert places.take(object(), holder)
    places._in_vain = IN_VAIN_SECONDS - OWN_PLACE_SECONDS / 2
    assert not places.take(object(), holder)
    began = time.monotonic()
    for _ in range(10):
        assert not places.take(object(), holder)
    assert time.monotonic() - began < 10 * OWN_PLACE_SECONDS / 2


def test_a_place_that_comes_free_is_taken_after_waits_in_vain():
    places, holder = Places(), object()
    places.most, places._in_vain = 1, IN_VAIN_SECONDS
    owner = object()
    assert places.take(owner, holder)
    assert not places.take(object(), holder)
    places.give(owner)
    assert places.take(object(), holder)
