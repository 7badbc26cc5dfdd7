"""Tallies of a test that another process has run, added to those of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.verdicts.case import FAILURES_KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.verdicts.recorder import Recorder
    from conformance.verdicts.verdicts import Key, Tally


def merge(recorder: Recorder, tallies: Mapping[Key, Tally]) -> None:
    """Add tallies, as if their test had been recorded here: FAILURES_KEPT holds for both together."""
    with recorder.lock:
        for key, found in tallies.items():
            tally = recorder.tally(key)
            tally.tests |= found.tests
            tally.held += found.held
            tally.broken += found.broken
            for failure in found.failures[: FAILURES_KEPT - len(tally.failures)]:
                number, recording = len(tally.failures) + 1, recorder.kept(failure.recording)
                tally.failures.append(replace(failure, number=number, recording=recording))
            tally.observations += [text for text in found.observations if text not in tally.observations]
            tally.skips += [text for text in found.skips if text not in tally.skips]
            tally.errors += found.errors
            tally.stops += found.stops
            tally.never_run += found.never_run
