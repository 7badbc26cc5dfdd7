"""Examples of Hypothesis that are the same wherever the suite runs from, and whatever else is imported."""

from __future__ import annotations

from hypothesis.internal.conjecture import providers


def draw_no_program_constants() -> None:
    """Keep Hypothesis from drawing the numbers and texts that stand in the programs around it.

    It collects them from all modules outside of site-packages: from a clone it would draw others than from an installed
    package, and others with each selection of tests, so that a failure need not come again with the same seed. Versions
    that know no such constants are left alone.
    """
    if hasattr(providers, "_get_local_constants"):
        nothing = type(providers._local_constants)()
        providers._get_local_constants = lambda: nothing
