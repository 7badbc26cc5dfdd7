"""Result of a run without the secrets of its target, before anything of it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.targets.secrets import Secrets
    from conformance.verdicts.verdicts import Failure, Result, Verdict
    from conformance.wire.trace import TraceEntry


def without_secrets(result: Result, secrets: Secrets) -> Result:
    """Result with the secrets hidden in all texts and frames."""
    if not secrets:
        return result
    return replace(
        result,
        verdicts=tuple(_verdict(verdict, secrets) for verdict in result.verdicts),
        ended_early=secrets.text(result.ended_early),
    )


def _verdict(verdict: Verdict, secrets: Secrets) -> Verdict:
    return replace(
        verdict,
        reason=secrets.text(verdict.reason),
        failures=tuple(_failure(failure, secrets) for failure in verdict.failures),
    )


def _failure(failure: Failure, secrets: Secrets) -> Failure:
    return replace(
        failure,
        expected=secrets.text(failure.expected),
        observed=secrets.text(failure.observed),
        steps=tuple(secrets.text(step) for step in failure.steps),
        frames=tuple(_entry(entry, secrets) for entry in failure.frames),
    )


def _entry(entry: TraceEntry, secrets: Secrets) -> TraceEntry:
    octets = secrets.octets(entry.octets)
    return entry._replace(octets=octets, size=entry.size + len(octets) - len(entry.octets))
