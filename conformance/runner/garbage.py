"""Garbage collection during a run."""

from __future__ import annotations

import gc

#: Objects, and collections of younger ones, before a garbage collection: most of what a test leaves needs none.
_COLLECTIONS = (5_000, 20, 50)


def collect_rarely() -> None:
    """Keep imported modules, which live for the whole run, out of collections, and collect less often.

    Frozen objects are out of the reach of Hypothesis' gc.get_referrers, too.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)
