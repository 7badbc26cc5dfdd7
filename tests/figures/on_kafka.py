"""The section of docs/on-kafka.md with the figures of nodes on Kafka."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.figures.rendering import END, BadReadme, section, source
from tests.figures.store import ROOT
from tests.load.workloads import BODY_BYTES

if TYPE_CHECKING:
    from tests.figures.rendering import Measured

#: Name of the measurement of a node's memory.
MEMORY = "memory on kafka"
PAGE = ROOT / "docs" / "on-kafka.md"
_SECTION = re.compile(rf"(<!-- figures: kafka -->\n)(.*?)({END})", re.DOTALL)


def rendered(page: str, measured: Measured) -> str:
    """The page with its section written anew; raises BadReadme."""
    if len(_SECTION.findall(page)) != 1:
        raise BadReadme("expected one section of figures, kafka, in the page on Kafka")
    return _SECTION.sub(lambda match: f"{match[1]}{_figures(measured)}{match[3]}", page)


def _figures(measured: Measured) -> str:
    if "kafka" not in measured:
        return ""
    figures = measured["kafka"]["figures"]
    introduction = (
        f"One Kafka broker, nodes, and the clients that measure, on the same {figures['cores']} cores in one run, with "
        f"records of {BODY_BYTES} bytes, medians of {figures['rounds']} rounds and their range "
        f"({source(measured['kafka'])}); `python -m tests.kafka.measures` prints all anew:"
    )
    published = (
        f"records published with receipts, window {figures['window']}, of a bare `confluent-kafka` producer's with as "
        "many in flight"
    )
    rows = [
        (
            published,
            _with_range(figures, "of bare"),
        ),
        ("two nodes together, of one", _with_range(figures, "of one")),
        ("poll and acknowledgement of its record, median", f"{figures['poll ms']:.1f} ms"),
    ]
    if MEMORY in measured:
        memory, seen = measured[MEMORY]["figures"], source(measured[MEMORY])
        published = f"most memory of a node after {memory['records']:,} records were published ({seen})"
        rows.append((published, f"{memory['peak MB']:.0f} MB"))
    return section(introduction, ("", "measured"), rows)


def _with_range(figures: dict[str, Any], name: str) -> str:
    least, most = figures[f"{name} range"]
    return f"{figures[name]:.2f} ({least:.2f} to {most:.2f})"
