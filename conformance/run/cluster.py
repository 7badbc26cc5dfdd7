"""Nodes of one cluster: alike in what they declare, and acquainted, so that one knows what was made at another."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.run.admittance import connect_headers
from conformance.targets.links import new_link
from conformance.targets.target import BadUrl, versions_of
from conformance.wire.failures import Crowded, PeerFailure, RunEnded, Unreachable, Violation
from conformance.wire.http import HttpClient
from conformance.wire.operations import HttpOperations, QueueClient, StompOperations
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from conformance.targets.target import Target
    from conformance.wire.operations import Operations, Reply

#: Time for what was made at one node to be known at all others, in seconds.
KNOWN_SECONDS = 10.0
#: Time between two looks at a node, in seconds.
_PAUSE_SECONDS = 0.25
_SILENT = (PeerFailure, Violation, Unreachable, Crowded)


def check_settings(nodes: Sequence[Target]) -> None:
    """Raises BadUrl unless all can be nodes of one cluster: the same classes, extensions, timings and limits.

    The limit of connections may differ: that of the smallest node holds for the run.
    """
    first = nodes[0]
    for number, node in enumerate(nodes):
        if _address(node) in {_address(other) for other in nodes[:number]}:
            which = "the first URL" if _address(node) == _address(first) else "one of the URLs"
            raise BadUrl(f"{node.url} is {which} again: expected the URL of another node, or one URL only")
        for name in ("classes", "extensions", "timings", "partitions", "limits"):
            one, two = _compared(first, name), _compared(node, name)
            if one != two:
                shown = [
                    ", ".join(sorted(each)) if isinstance(each, frozenset) else str(each)
                    for each in (one, two)
                ]
                raise BadUrl(
                    f"{first.url} and {node.url} differ in their {name}: {shown[0]}; {shown[1]}. Expected nodes of one "
                    "cluster, with the same settings."
                )


def _address(node: Target) -> tuple[object, ...]:
    return (node.host, node.port, node.prefix)


def _compared(target: Target, name: str) -> Any:
    value = getattr(target, name)
    return {key: value[key] for key in sorted(value) if key != "connections"} if name == "limits" else value


def check_acquaintance(
    nodes: Sequence[Target], judged: Collection[str], interrupted: threading.Event, until: float = 0.0
) -> None:
    """Raises BadUrl if a node knows nothing of what was made at the first one, RunEnded once `interrupted` is set.

    A node is given KNOWN_SECONDS, and time up to `until` in monotonic seconds. One that answers otherwise than by
    knowing or not knowing is left to the clauses, as is a cluster in which a part is known.
    """
    first, *others = (replace(node, access=replace(node.access, admission=None)) for node in nodes)
    with contextlib.suppress(*_SILENT), contextlib.closing(_making(first, judged, interrupted)) as made:
        if not made.is_made:
            return
        deadline = max(time.monotonic() + max(KNOWN_SECONDS, *(node.patience for node in nodes)), until)
        for number, other in enumerate(others, 1):
            if not _is_known(made, other, number, deadline, interrupted):
                raise BadUrl(
                    f"{other.url} does not know what was made at {first.url}: {made.what}. Expected the nodes of one "
                    "broker, each of which serves what clients do at the others; servers that have nothing to do with "
                    "one another are judged one by one, each by its own URL."
                )


def _is_known(made: _Made, other: Target, number: int, deadline: float, interrupted: threading.Event) -> bool:
    """True unless the node at `other` says up to the deadline that it knows nothing."""
    with contextlib.suppress(*_SILENT), contextlib.closing(made.look_at(other, number)) as look:
        while not look.is_known():
            if time.monotonic() >= deadline:
                return False
            if interrupted.wait(_PAUSE_SECONDS):
                raise RunEnded("the run was ended while its nodes were asked what they know of one another")
    return True


class _Made:
    """Something that was made at the first node; `what` names it in a message."""

    what = ""
    is_made = False

    def look_at(self, other: Target, number: int) -> _Look:
        """A look for it at another node, of this number."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove it."""


class _Look:
    """A look at one of the other nodes."""

    def is_known(self) -> bool:
        """True unless the node says that it does not know what was made."""
        return True

    def close(self) -> None:
        """Close the connections."""


def _making(first: Target, judged: Collection[str], interrupted: threading.Event) -> _Made:
    if "queue-http" in judged and first.has_http:
        return _MadeOfQueue(first, lambda node: _http(node, interrupted))
    if "queue-stomp" in judged:
        return _MadeOfQueue(first, lambda node: StompOperations(_session(node, judged, interrupted)))
    if versions_of(judged):
        return _MadeOfStomp(first, lambda node: _session(node, judged, interrupted))
    return _Made()


def _http(node: Target, interrupted: threading.Event) -> Operations:
    where = node.http_host
    return HttpOperations(
        HttpClient(
            where.host,
            where.port,
            tls=where.tls,
            access=node.access,
            patience=node.patience,
            interrupted=interrupted,
        )
    )


def _session(node: Target, judged: Collection[str], interrupted: threading.Event) -> StompClient:
    version = max(versions_of(judged) or node.stomp_versions, default="1.2")
    client = StompClient(new_link(node, interrupted=interrupted), version)
    try:
        client.connect(connect_headers(node))
    except _SILENT:
        client.close()
        raise
    return client


def _is_refused(reply: Reply) -> bool:
    return 400 <= reply.status < 500


class _MadeOfQueue(_Made):
    """A consumer group with a member, and a topic."""

    def __init__(self, first: Target, operations: Callable[[Target], Operations]) -> None:
        self._operations = operations
        self._extensions = first.extensions
        self.name = f"nodes-{secrets.token_hex(6)}"
        self.what = f"the consumer group and the topic {self.name}"
        self._queue = QueueClient(operations(first))
        member = f"{self.name}-0"
        self.is_made = (
            self._queue.add_group(self.name).status == 200
            and self._queue.add_topic(self.name).status == 200
            and self._queue.register(self.name, member).status == 200
            and self._queue.subscribe(member, self.name).status == 200
        )

    def look_at(self, other: Target, number: int) -> _Look:
        """A look for the group and the topic."""
        return _LookForQueue(self.name, QueueClient(self._operations(other)), number)

    def close(self) -> None:
        """Remove group and topic as far as the server can."""
        with contextlib.suppress(*_SILENT):
            self._queue.unsubscribe(f"{self.name}-0", self.name)
            self._queue.remove_group(self.name)
            if "topic-removal" in self._extensions:
                self._queue.remove_topic(self.name)
        self._queue.close()


class _LookForQueue(_Look):
    """A node knows a group if it lets a consumer in, and a topic if it lets a consumer of another group subscribe."""

    def __init__(self, name: str, queue: QueueClient, number: int) -> None:
        self._name = name
        self._queue = queue
        self._member = f"{name}-{number}"
        self._own = f"{name}-own-{number}"
        self._has_own = (
            queue.add_group(self._own).status == queue.register(self._own, self._own).status == 200
        )

    def is_known(self) -> bool:
        """True unless both are refused to consumers that could register in a group of this node."""
        return (
            not self._has_own
            or not _is_refused(self._queue.register(self._name, self._member))
            or not _is_refused(self._queue.subscribe(self._own, self._name))
        )

    def close(self) -> None:
        """Remove the group of this look."""
        with contextlib.suppress(*_SILENT):
            self._queue.remove_group(self._own)
        self._queue.close()


class _MadeOfStomp(_Made):
    """Messages to a plain topic, which a subscriber at the first node gets."""

    def __init__(self, first: Target, session: Callable[[Target], StompClient]) -> None:
        self._session = session
        self._headers = first.topic_headers
        self._topic = first.plain_topic(f"nodes-{secrets.token_hex(6)}")
        self.what = (
            f"messages to {self._topic}, which a subscriber there gets, do not reach its own subscribers"
        )
        self._sender = session(first)
        self._control = self.subscriber(first)
        self.is_made = self._reaches_control()

    def _reaches_control(self) -> bool:
        """True if a message reaches the subscriber at the first node, which may take a moment to be one."""
        deadline = time.monotonic() + self._control.patience
        while time.monotonic() < deadline:
            self.send()
            if self._control.has_come("MESSAGE", within=_PAUSE_SECONDS):
                return bool(self._control.messages)
        return False

    def send(self) -> None:
        """Send a message at the first node."""
        self._sender.send(self._topic, "from the first node", self._headers)

    def subscriber(self, node: Target) -> StompClient:
        """A session at `node` that is subscribed."""
        client = self._session(node)
        client.subscribe(self._topic, self._headers)
        return client

    def look_at(self, other: Target, number: int) -> _Look:
        """A look for messages."""
        return _LookForMessages(self, self.subscriber(other))

    def close(self) -> None:
        """Close the sessions at the first node."""
        self._sender.close()
        self._control.close()


class _LookForMessages(_Look):
    """A node knows a topic if a message that is sent at the first node reaches its subscriber."""

    def __init__(self, made: _MadeOfStomp, subscriber: StompClient) -> None:
        self._made = made
        self._subscriber = subscriber

    def is_known(self) -> bool:
        """True if a message has come, or none can come any more."""
        self._made.send()
        return self._subscriber.has_come("MESSAGE", within=_PAUSE_SECONDS)

    def close(self) -> None:
        """Close the session."""
        self._subscriber.close()
