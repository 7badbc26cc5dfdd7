"""The first conversation with a server: its capabilities, its classes where it declares none, its protocol."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

from conformance.run import diagnosis
from conformance.run.admittance import NotLetIn, connect_headers
from conformance.specification.clauses import BINDINGS
from conformance.targets.links import new_link
from conformance.wire.failures import (
    PeerFailure,
    UpgradeRefused,
    Violation,
)
from conformance.wire.http import HttpClient
from conformance.wire.stomp import StompClient
from conformance.wire.upgrade_attempts import admitted_link

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection
    from typing import Any

    from conformance.targets.target import Target
    from conformance.wire.http import HttpReply
    from conformance.wire.link import Link

CAPABILITIES = "/capabilities"
#: Requests of which the fastest reply gives the round-trip time.
ROUND_TRIP_SAMPLES = 3
#: Longest first contact, in seconds.
FIRST_CONTACT_SECONDS = 20.0
#: Longest capabilities that the suite reads, in octets.
CAPABILITIES_LIMIT = 1 << 20
_ADD_GROUP = "/consumer-group/add"
_HEARTBEAT = "/consumer/heartbeat"


class NoServer(Exception):
    """No server answers at the URL, it speaks neither STOMP nor the queue over HTTP, or lets nobody in.

    `may_pass` is true if a server that is being started may be the reason.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class FirstContact:
    """Conversation with a server of which nothing is known yet, with one deadline for all of it."""

    def __init__(self, interrupted: threading.Event | None) -> None:
        self._interrupted = interrupted
        self._deadline = time.monotonic() + FIRST_CONTACT_SECONDS
        self.failure = ""
        """Why the capabilities could not be read, "" if they could, or if the server has none."""
        self._is_bad_request = False
        self._answers_all = False

    def ask(self, target: Target) -> tuple[Any, float]:
        """Capabilities document (None if the server has none) and round-trip time in seconds. Raises Unreachable."""
        client = self._http(target)
        document = None
        samples: list[float] = []
        try:
            for _ in range(ROUND_TRIP_SAMPLES):
                began = time.monotonic()
                reply = client.request("GET", CAPABILITIES, within=self._within(target))
                samples.append(time.monotonic() - began)
                # Repeated even after a refusal: the first reply of a server may be its slowest.
                self._is_bad_request = reply.status == diagnosis.BAD_REQUEST
                if reply.status == 200:
                    document = reply.json()
                    self.failure = self._no_document(reply, document)
        except (PeerFailure, Violation) as error:
            # A server may speak WebSocket without HTTP: then it declares nothing.
            self.failure = f"{error}"
        finally:
            client.close()
        return document, min(samples, default=0.0)

    def discover(self, target: Target) -> frozenset[str]:
        """Bindings found by trying, for a server that declares none.

        Raises NotLetIn if there are none, NoServer, Unreachable.
        """
        found: set[str] = set()
        refusal = spoken = ""
        for version in target.stomp_versions:
            try:
                link = self.open_link(target)
            except UpgradeRefused as error:
                refusal = diagnosis.refused_upgrade(target, error)
                break
            except PeerFailure as error:
                spoken = diagnosis.spoken_instead(target)
                refusal = diagnosis.no_upgrade(target, error.observed, spoken)
                break
            found.add("tcp" if target.is_tcp else "websocket")
            answer = self._answer_to_connect(target, link, version)
            if answer is None:
                found.add(f"stomp-{version}")
            elif answer:
                refusal = diagnosis.no_stomp(target, answer)
        if target.has_http and self.serves_queue(target):
            found.add("queue-http")
        if found == {"websocket"} and refusal:
            found.clear()
        if spoken and not found:
            raise NotLetIn(refusal, may_pass=True)
        if not found:
            stop = "" if refusal.endswith((".", "?")) else "."
            lacks = (
                "answers 200 on every path over HTTP"
                if self._answers_all
                else "does not serve the queue over HTTP"
            )
            raise NotLetIn(
                f"{refusal}{stop} Besides, {self._declares_nothing()}, and it {lacks}. To have its "
                "HTTP alone judged all the same, name --class queue-http.",
                may_pass=True,
            )
        return frozenset(found)

    def open_link(self, target: Target) -> Link:
        """Connection to the path under test. Raises as `admitted_link` does, NoServer when time is up."""
        return admitted_link(
            target.access.admission,
            lambda: new_link(target, patience=self._within(target), interrupted=self._interrupted),
        )

    def check_http(self, target: Target, judged: Collection[str]) -> None:
        """Raises NotLetIn if HTTP alone is judged, at a port that speaks TLS or plain STOMP instead, or is silent."""
        if set(judged) != {"queue-http"} or not (self.failure or self._is_bad_request):
            return
        where = target.http_host
        if spoken := diagnosis.other_protocol(
            where, target.url if target.http is None else f"http://{where.authority}"
        ):
            raise NotLetIn(f"no HTTP at {where.authority}: {spoken}")
        if self.failure and self._is_silent(target):
            raise NotLetIn(
                f"no HTTP at {where.authority}: it accepts connections, and answers neither GET {CAPABILITIES} nor "
                f"POST {_HEARTBEAT}. Is the server up, and is {where.authority} where it serves HTTP? See --http URL.",
                may_pass=True,
            )

    def _is_silent(self, target: Target) -> bool:
        """True if nothing comes for a request without effect. Raises Unreachable, NoServer."""
        client = self._http(target)
        try:
            client.start("POST", _HEARTBEAT, b"{}", {"Content-Type": "application/json"})
            return not client.has_come(self._within(target))
        finally:
            client.close()

    def declares(self, target: Target) -> bool:
        """True if the server has capabilities below the target's prefix. Raises Unreachable."""
        client = self._http(target)
        try:
            reply = client.request("GET", CAPABILITIES, within=self._within(target))
            return reply.status == 200 and isinstance(reply.json(), dict)
        except (PeerFailure, Violation):
            return False
        finally:
            client.close()

    def _http(self, target: Target) -> HttpClient:
        where = target.http_host
        return HttpClient(
            where.host,
            where.port,
            tls=where.tls,
            access=target.access,
            patience=self._within(target),
            interrupted=self._interrupted,
            body_limit=CAPABILITIES_LIMIT,
        )

    def _within(self, target: Target) -> float:
        """Seconds for one answer: the patience, or what is left of the first contact. Raises NoServer at its end."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NoServer(
                f"{target.authority} takes too long: the first contact was not over within "
                f"{FIRST_CONTACT_SECONDS:g} s; {self._declares_nothing()}. To have it judged all the same, name a "
                f"--class ({', '.join(BINDINGS)})."
            )
        return min(target.patience, left)

    def _no_document(self, reply: HttpReply, document: Any) -> str:
        return "" if isinstance(document, dict) else f"expected a JSON object; observed {reply}"

    def _declares_nothing(self) -> str:
        if self.failure:
            return f"its classes are unknown (GET {CAPABILITIES}: {self.failure})"
        return f"it declares no classes at {CAPABILITIES}"

    def _answer_to_connect(self, target: Target, link: Link, version: str) -> str | None:
        """Clause of a sentence on an answer to CONNECT that is no STOMP; "" for a refusal, None for a session."""
        client = StompClient(link, version, patience=self._within(target))
        try:
            client.connect(connect_headers(target))
        except (PeerFailure, Violation) as failure:
            # The clauses judge a malformed CONNECTED; here it shows that the class is served.
            if client.connected is not None:
                return None
            return "" if client.errors or client.closed is not None else f"came: {failure.observed}"
        finally:
            link.close()
        return None if client.version == version else ""

    def serves_queue(self, target: Target) -> bool:
        """True if a group can be added over HTTP, at a server that does not answer 200 on every path."""
        client = self._http(target)
        body = json.dumps({"consumer_group_name": f"probe-{secrets.token_hex(6)}"}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            reply = client.request("POST", _ADD_GROUP, body, headers, within=self._within(target))
            if reply.status != 200:
                return False
            nowhere = f"/{secrets.token_hex(6)}"
            answer = client.request("POST", nowhere, body, headers, within=self._within(target))
            self._answers_all = answer.status == 200
        except (PeerFailure, Violation):
            return False
        else:
            return not self._answers_all
        finally:
            client.close()
