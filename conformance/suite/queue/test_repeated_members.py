"""Bodies in which a member stands twice, to which JSON gives no meaning: REFUSE-8."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import refused
from conformance.suite.queue.fixture import ADD_GROUP, REGISTER, QueueFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("REFUSE-8")
def test_a_member_that_stands_twice(bench: Bench) -> None:
    """Add a group by a body with two names. Recorded: a refusal, or which of the two is added."""
    queue = QueueFixture(bench)
    names = [bench.fresh("group") for _ in range(2)]
    members = ",".join(f'"consumer_group_name":{json.dumps(name)}' for name in names)
    reply = queue.call(ADD_GROUP, b"{%s}" % members.encode())
    added = [
        word
        for word, name in zip(("first", "last"), names, strict=True)
        if not refused(
            queue.call(REGISTER, {"consumer_group_name": name, "consumer_name": bench.fresh("consumer")})
        )
    ]
    done = f"the {' and the '.join(added)} value counts" if added else "neither value counts"
    bench.observe("REFUSE-8", f"a member that stands twice: {reply.status}, {done}")
