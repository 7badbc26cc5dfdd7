"""Result and target of a run without its secrets, before anything of them is written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.targets.secrets import Secrets
    from conformance.targets.target import Target
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


def target_without_secrets(target: Target) -> Target:
    """Target with its secrets hidden in what its server declares of itself."""
    secrets = target.secrets
    if not secrets:
        return target
    return replace(
        target,
        title=secrets.text(target.title),
        capabilities=_hidden(target.capabilities, secrets),
        capabilities_failure=secrets.text(target.capabilities_failure),
        limits={secrets.text(name): value for name, value in target.limits.items()},
    )


def _hidden(document: Any, secrets: Secrets) -> Any:
    """JSON document with the secrets hidden in its strings and names."""
    if isinstance(document, str):
        return secrets.text(document)
    if isinstance(document, dict):
        return {secrets.text(name): _hidden(value, secrets) for name, value in document.items()}
    return [_hidden(item, secrets) for item in document] if isinstance(document, list) else document


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
        frames=_entries(failure.frames, secrets),
    )


def _entries(entries: Sequence[TraceEntry], secrets: Secrets) -> tuple[TraceEntry, ...]:
    """Frames with the secrets hidden, those too that come in pieces."""
    streams: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        streams[entry.connection, entry.direction].append(number)
    hidden = list(entries)
    for numbers in streams.values():
        pieces = secrets.pieces([entries[number].octets for number in numbers])
        for number, octets in zip(numbers, pieces, strict=True):
            entry = entries[number]
            if entry.size > len(entry.octets):
                octets = secrets.cut_octets(octets)
            hidden[number] = entry._replace(octets=octets, size=entry.size + len(octets) - len(entry.octets))
    return tuple(hidden)
