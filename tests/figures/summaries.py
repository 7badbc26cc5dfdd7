"""Figures of the README drawn from the tables of faulty and odd brokers."""

from __future__ import annotations

import statistics
from typing import Any


def of_mutants(document: dict[str, Any]) -> dict[str, float]:
    """Counts of brokers caught and left alone; `document` is that of `python -m tests.mutants --json`."""
    faults, variants = document["faults"], document["variants"]
    caught = [fault for fault in faults if fault["caught"]]
    return {
        "faults": len(faults),
        "caught": len(caught),
        "named": sum(fault["named"] for fault in faults),
        "median_clauses": statistics.median(len(fault["found"]) for fault in caught) if caught else 0,
        "variants": len(variants),
        "left_alone": sum(variant["left_alone"] for variant in variants),
    }
