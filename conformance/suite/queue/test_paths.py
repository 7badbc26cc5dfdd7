"""Paths that begin or end like those of operations: HTTP-PATH-1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.operation_table import ALIASES, TABLE, PreparedQueue

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

_JSON = {"Content-Type": "application/json"}


@clauses("HTTP-PATH-1")
def test_a_path_that_is_like_that_of_an_operation_is_refused(bench: Bench) -> None:
    """POST the body of each operation to its path with something behind it, before it, or less; expect a refusal (4xx),
    and nothing changed.
    """
    prepared = PreparedQueue(bench)
    client = bench.http()
    for operation in TABLE:
        is_there = operation.extension is None or bench.declares(operation.extension)
        if not is_there or operation.path in ALIASES:
            continue
        own = prepared.path(operation)
        body = json.dumps(prepared.body(operation)).encode()
        # One octet less would be the path of another topic, which may be there.
        for path in (f"{own}/extra", f"{own}x", f"/x{own}", *([] if operation.publishes else [own[:-1]])):
            reply = client.request("POST", path, body, _JSON)
            expect_refusal(bench, reply, "HTTP-PATH-1", f"{path} is no path of an operation")
    prepared.expect_unchanged("HTTP-PATH-1")
