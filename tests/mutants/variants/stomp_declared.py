"""Oddities in versions, limits, and their declaration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server import capabilities, running, websocket
from reference_server.server.http import CAPABILITIES, HttpBinding
from reference_server.stomp import destinations, frame, router, session
from reference_server.stomp.destinations import PlainQueue
from tests.mutants.patching import wrap
from tests.mutants.registry import variant
from tests.mutants.stomp_editing import V10, V11, V12, WEBSOCKET, set_header

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.server.requests import Request
    from reference_server.stomp.destinations import Message

_HERE = Path(__file__).parent


def _speak(*versions: str) -> None:
    """Speak only these versions of STOMP, and declare no others."""
    for module in (frame, session, capabilities):
        module.VERSIONS = versions
    init = session.FrameReader.__init__
    init.__kwdefaults__["versions"] = versions
    websocket.SUBPROTOCOLS = tuple(f"v{version.replace('.', '')}.stomp" for version in reversed(versions))
    _declare(
        lambda document: {
            **document,
            "classes": [
                name
                for name in document["classes"]
                if not name.startswith("stomp-") or name.removeprefix("stomp-") in versions
            ],
        }
    )


def _declare(change: Any) -> None:
    @wrap(running, "describe")
    def describe(original: Any, *arguments: Any, **named: Any) -> bytes:
        document = msgspec.json.decode(original(*arguments, **named))
        return msgspec.json.encode(change(document))


def _declare_destinations(**members: object) -> None:
    _declare(lambda document: {**document, "destinations": {**document["destinations"], **members}})


@variant(
    "The names of plain destinations are the server's affair, and the capabilities may say them.",
    bindings=(*V10, *V12),
)
def plain_destinations_have_other_names() -> None:
    """A queue is called `q.….jobs`, a topic `t.…`; a destination below /queue/ or /topic/ is unknown."""
    names = {"queue": "q.{name}.jobs", "topic": "t.{name}"}
    _declare_destinations(**names)
    destinations.QUEUES, destinations.TOPICS = "q.", "t."
    router.QUEUES = "q."


@variant(
    "A number of subscriptions is no promise of as many (STOMP-LIMIT-005).",
    flags=("--virtual-clock", "--subscriptions", "100"),
    bindings=(*V11, *V12),
)
def more_subscriptions_are_declared_than_possible() -> None:
    """The capabilities say that 1000 subscriptions are possible; the 101st is refused."""
    _declare(lambda document: {**document, "limits": {**document["limits"], "subscriptions": 1000}})


@variant("A server claims the versions that it speaks.", bindings=(*V12, *WEBSOCKET))
def only_1_2_is_spoken() -> None:
    """The server speaks STOMP 1.2 and nothing else."""
    _speak("1.2")


@variant("A server claims the versions that it speaks.", bindings=(*V10, *V11, *WEBSOCKET))
def only_1_0_and_1_1_are_spoken() -> None:
    """The server speaks STOMP 1.0 and 1.1."""
    _speak("1.0", "1.1")


@variant("A server claims the versions that it speaks.", bindings=V10)
def only_1_0_is_spoken() -> None:
    """The server speaks only STOMP 1.0, and CONNECTED has no version."""
    _speak("1.0")
    set_header("CONNECTED", "version", lambda value: value)


@variant(
    "A server may set limits, and say so (STOMP-LIMIT-001 to STOMP-LIMIT-005).",
    flags=(
        "--virtual-clock",
        "--headers",
        "40",
        "--header-bytes",
        "8192",
        "--header-line-bytes",
        "4096",
        "--body-bytes",
        "40000",
        "--subscriptions",
        "20",
    ),
    bindings=(*V11, *V12),
)
def limits_are_tight() -> None:
    """Frames have few headers and at most 40,000 octets of body, connections at most twenty subscriptions."""


@variant(
    "A server may set limits without a word (STOMP-LIMIT-001 to STOMP-LIMIT-005).",
    flags=(
        "--virtual-clock",
        "--headers",
        "40",
        "--header-bytes",
        "8192",
        "--header-line-bytes",
        "4096",
        "--body-bytes",
        "40000",
        "--subscriptions",
        "60",
    ),
    bindings=(*V10, *V12),
)
def limits_are_tight_and_not_declared() -> None:
    """The limits are like those of other servers, and are not declared."""
    _declare(lambda document: {**document, "limits": {}})


@variant("The document of capabilities may be missing as a whole.", bindings=(*V10, *V11, *V12, *WEBSOCKET))
def nothing_is_declared_of_stomp() -> None:
    """The server has no capabilities document."""

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Request, transport: Any) -> Outcome | None:
        if request.path == CAPABILITIES:
            request.path = "/nothing/here"
        response: Outcome | None = original(self, request, transport)
        return response


@variant(
    "What was not acknowledged may be lost with its connection, and the capabilities may say so (STOMP-SUB-009).",
    bindings=(*V11, *V12),
)
def nothing_comes_again() -> None:
    """Messages that are unacknowledged at the end of their subscription, or refused by NACK, are dropped."""
    _declare_destinations(redelivers=False)

    @wrap(PlainQueue, "take_back")
    def take_back(original: Any, self: PlainQueue, returned: list[Message]) -> None:
        original(self, [])


@variant(
    "What a destination keeps is the server's affair (chapter on sending).",
    options=(
        "--target",
        str(_HERE / "no_queues.toml"),
    ),
    bindings=(*V10, *V12),
)
def queues_keep_nothing() -> None:
    """A queue gives a message to one of its subscriptions, and drops it if the queue has none."""

    @wrap(PlainQueue, "put")
    def put(original: Any, self: PlainQueue, message: Message) -> None:
        if self._subscribers:
            original(self, message)

    @wrap(PlainQueue, "unsubscribe")
    def unsubscribe(original: Any, self: PlainQueue, subscriber: Any, unsettled: list[Message]) -> None:
        original(self, subscriber, unsettled)
        if not self._subscribers:
            self._owner.pop(self.name, None)
