"""Protocol of adapters: requests, answers, and what an adapter announces (docs/adapters.md)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.history.file_decoding import decoded_header
from conformance.history.system_facts import FORMAT, KIND, BadHistory, SystemFacts, quoted

PROTOCOL = 1
REQUIRED = ("publish", "join", "poll", "acknowledge")
OPTIONAL = ("create-topic", "give-back", "heartbeat", "leave", "silence", "cut", "restart")
OUTCOMES = ("ok", "refused", "failed", "unknown", "unsupported")
#: Seconds that an adapter has for an answer, beyond the `wait` of the request.
ANSWER_SECONDS = 30.0

Answer = Mapping[str, Any]


class NoAdapter(Exception):
    """The command can't be started, or the program is no adapter; the message says what was expected."""


class AdapterGone(Exception):
    """The adapter ended, or answers something that is no answer, in the middle of a run."""


class Adapter(Protocol):
    """An adapter that can be asked, in this process or another one. Thread-safe."""

    def ask(self, op: str, wait: float = 0.0, **members: Any) -> Answer | None:
        """The answer to a request; None if none came in time. Raises AdapterGone."""

    def close(self) -> None:
        """End the adapter."""


@dataclass(frozen=True)
class Announcement:
    """Abilities of an adapter, and facts about its engine."""

    abilities: frozenset[str]
    facts: SystemFacts
    background_heartbeats: bool = False

    def can(self, op: str) -> bool:
        """True if the adapter can carry out this request."""
        return op in self.abilities


def announced(adapter: Adapter) -> Announcement:
    """Ask an adapter what it can do, and for something that does not exist. Raises NoAdapter."""
    try:
        hello = adapter.ask("hello", format=PROTOCOL)
        announcement = _announcement(hello)
        made_up = f"no-such-request-{secrets.token_hex(4)}"
        answer = adapter.ask(made_up)
    except AdapterGone as error:
        raise NoAdapter(str(error)) from None
    outcome = None if answer is None else answer["outcome"]
    if outcome != "unsupported":
        raise NoAdapter(
            f'the adapter answers {outcome or "nothing"} to "op": "{made_up}", which does not exist: expected '
            '"outcome": "unsupported", as to everything that it can\'t do'
        )
    return announcement


def _announcement(hello: Answer | None) -> Announcement:
    if hello is None:
        raise NoAdapter(f'no answer to "hello" within {ANSWER_SECONDS:g} s')
    if hello["outcome"] != "ok":
        raise NoAdapter(f'the answer to "hello": expected "outcome": "ok", found {quoted(dict(hello))}')
    abilities = hello.get("abilities")
    known = {*REQUIRED, *OPTIONAL}
    if not isinstance(abilities, list) or not all(isinstance(one, str) for one in abilities):
        raise NoAdapter(f'"abilities": expected a list of strings, found {quoted(abilities)}')
    if unknown := [one for one in abilities if one not in known]:
        raise NoAdapter(
            f'"abilities": expected some of {", ".join(sorted(known))}, found {quoted(unknown[0])}'
        )
    if lacking := [one for one in REQUIRED if one not in abilities]:
        raise NoAdapter(
            f'"abilities": expected at least {", ".join(REQUIRED)}; {", ".join(lacking)} is missing'
        )
    facts = hello.get("facts", {})
    if not isinstance(facts, dict):
        raise NoAdapter(f'"facts": expected an object, found {quoted(facts)}')
    system = {name: hello[name] for name in ("name", "version") if isinstance(hello.get(name), str)}
    try:
        made = decoded_header({"system": system, **facts, "kind": KIND, "format": FORMAT})
    except BadHistory as error:
        raise NoAdapter(f'"facts": {error}') from None
    return Announcement(frozenset(abilities), made, facts.get("background_heartbeats") is True)


def checked_answer(document: object) -> Answer:
    """An answer of the right form. Raises AdapterGone, since nothing can be concluded from any other."""
    if not isinstance(document, dict) or document.get("outcome") not in OUTCOMES:
        raise AdapterGone(
            f'the adapter answers {quoted(document)}: expected an object with "outcome", one of {", ".join(OUTCOMES)}'
        )
    if type(document.get("id")) is not int:
        raise AdapterGone(f'the adapter answers {quoted(document)}: expected the "id" of a request')
    return document
