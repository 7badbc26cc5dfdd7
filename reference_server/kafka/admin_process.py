"""Process that makes and deletes Kafka topics and entries for a node: a JSON object a line in, another one out.

    {"id": 1, "seconds": 5.0, "kind": "create", "topics": [["news", 2, 3, {"retention.ms": "-1"}]]}
    {"id": 1, "errors": {"news": [36, "Topic 'news' already exists."]}}

librdkafka 2.16 ends its process by a failed assertion if such a request ends late; a node must not end with it. The
process ends with its input.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

LATE = -1
"""Code of an error for a request that Kafka did not answer in time."""


def futures(admin: AdminClient, request: Mapping[str, Any]) -> dict[str, Future[Any]]:
    """Send a request; returns the futures of its answers by the names of the topics."""
    seconds = request["seconds"]
    if request["kind"] == "create":
        topics = [
            NewTopic(name, count, copies, config=config) for name, count, copies, config in request["topics"]
        ]
        made: dict[str, Future[Any]] = admin.create_topics(
            topics, operation_timeout=seconds, request_timeout=seconds
        )
        return made
    if request["kind"] == "delete":
        deleted: dict[str, Future[Any]] = admin.delete_topics(request["topics"], request_timeout=seconds)
        return deleted
    before = [TopicPartition(*place) for place in request["places"]]
    found = admin.delete_records(before, request_timeout=seconds)
    return {each.topic: future for each, future in found.items()}


def errors_of(admin: AdminClient, request: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Carry out a request; returns code and text of the error of each topic that has one."""
    errors: dict[str, tuple[int, str]] = {}
    for name, future in futures(admin, request).items():
        try:
            future.result(timeout=request["seconds"] + 1)
        except KafkaException as error:
            errors[name] = error.args[0].code(), error.args[0].str()
        except FutureTimeout:
            errors[name] = LATE, f"no answer within {request['seconds']:g} s"
    return errors


def main() -> None:
    """Serve until the input ends. Its first line holds the settings of the client."""
    admin = AdminClient({**json.loads(sys.stdin.readline()), "log_level": 0})
    writing = threading.Lock()

    def carry_out(request: dict[str, Any]) -> None:
        try:
            errors = errors_of(admin, request)
        except (KafkaException, ValueError, TypeError) as error:
            errors = {"": (LATE, str(error))}
        with writing:
            print(json.dumps({"id": request["id"], "errors": errors}), flush=True)

    for line in sys.stdin:
        threading.Thread(target=carry_out, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main()
