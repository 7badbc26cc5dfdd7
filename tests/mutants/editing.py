"""Helpers for patches of the queue: other statuses and causes, edited requests and replies."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import CAUSES, Refusal
from tests.mutants.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_server.queue.settings import QueueSettings
    from reference_server.queue.topic import Partition

_PUBLISH = ("/producer/publish/", "/publish/")


def answer_by(method: str, status: int) -> None:
    """Make an operation succeed with another status."""

    @wrap(Operations, method)
    def perform(original: Any, self: Operations, *arguments: Any, **named: Any) -> Outcome:
        outcome: Outcome = original(self, *arguments, **named)
        return outcome if outcome.status >= 400 else msgspec.structs.replace(outcome, status=status)


def accept_refused(method: str, cause: str, status: int) -> None:
    """Answer an operation that is refused for `cause` with a successful status, without performing it."""

    @wrap(Operations, method)
    def perform(original: Any, self: Operations, *arguments: Any, **named: Any) -> Any:
        try:
            return original(self, *arguments, **named)
        except Refusal as refusal:
            if refusal.cause != cause:
                raise
            return Outcome(status)


def refuse_by(owner: type, method: str, cause: str, status: int) -> None:
    """Give refusals of one method for `cause` another status."""

    @wrap(owner, method)
    def perform(original: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return original(*arguments, **named)
        except Refusal as refusal:
            if refusal.cause == cause:
                refusal.status = status
            raise


def refuse_everywhere_by(cause: str, status: int) -> None:
    """Give all refusals for `cause` another status."""
    CAUSES[cause] = (status, CAUSES[cause][1])


def edit_requests(path: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Let `edit` change the body of each operation whose path begins with `path`, before the server reads it.

    Other bodies than JSON objects are not edited.
    """

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, asked: str, body: bytes, **named: Any) -> Outcome | None:
        if asked.startswith(path):
            document = as_object(body)
            if document is not None:
                edit(document)
                body = msgspec.json.encode(document)
        outcome: Outcome | None = original(self, asked, body, **named)
        return outcome


def edit_replies(path: str, edit: Callable[[Outcome], Outcome]) -> None:
    """Let `edit` change the outcome of each operation whose path begins with `path`, except for waiting long polls."""

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, asked: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, asked, body, **named)
        return edit(outcome) if outcome is not None and asked.startswith(path) else outcome


def change_settings(**changes: Callable[[Any], Any]) -> None:
    """Run the queue with other settings than those that the server declares."""

    @wrap(QueueBroker, "__init__")
    def begin(original: Any, self: QueueBroker, settings: QueueSettings, *more: Any) -> None:
        changed = {name: change(getattr(settings, name)) for name, change in changes.items()}
        original(self, msgspec.structs.replace(settings, **changed), *more)


def open_cursors() -> Mapping[Partition, list[Cursor]]:
    """The cursors of all groups by partition, from now on."""
    found: defaultdict[Partition, list[Cursor]] = defaultdict(list)

    @wrap(Cursor, "__init__")
    def begin(original: Any, self: Cursor, partition: Partition) -> None:
        original(self, partition)
        found[partition].append(self)

    @wrap(Group, "dissolve")
    def dissolve(original: Any, self: Group) -> None:
        for cursor in self.all_cursors():
            found[cursor.partition].remove(cursor)
        original(self)

    return found


def as_object(body: bytes) -> dict[str, Any] | None:
    """JSON object in a body; None if the body is not a JSON object."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def topic_of(path: str) -> str | None:
    """Topic in the path of a publish; None for other operations."""
    for prefix in _PUBLISH:
        if path.startswith(prefix):
            return path[len(prefix) :]
    return None
