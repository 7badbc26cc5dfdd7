"""Messages that are sent in transactions, and what others see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.stomp.channel import Line

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.suite.stomp.scene import Place, Scene
    from conformance.wire.stomp import StompClient


def line_to(scene: Scene, kind: str = "topic") -> Line:
    """A consumer of a fresh place on a connection of its own, and a sender on another one."""
    return Line(scene, scene.queue() if kind == "queue" else scene.topic())


def send_in(scene: Scene, client: StompClient, name: str, place: Place, body: bytes | str) -> None:
    """SEND in a transaction."""
    scene.send(client, place, body, transaction=name)


def arrived(line: Line, bodies: Collection[bytes]) -> list[bytes]:
    """Which of these have come to the line by the time that a later message has."""
    came = line.scene.until_marker(line.subscription)
    return [message.body for message in came if message.body in bodies]


def judge_nothing(line: Line, clause: str, bodies: Collection[bytes], expected: str) -> None:
    """Judge that none of these has come to the line by the time that a later message has."""
    came = arrived(line, bodies)
    line.scene.judge(clause, not came, expected=expected, observed=came)


def judge_all(line: Line, clause: str, bodies: Collection[bytes]) -> None:
    """Judge that all of these come to the line, in any order."""
    for _ in bodies:
        line.scene.message(
            line.subscription, clause, lambda frame: frame.body in bodies, f"all of {sorted(bodies)}"
        )
    line.scene.judge(clause, True, expected="all messages", observed=sorted(bodies))


def words(scene: Scene, *stems: str) -> list[bytes]:
    """Bodies that nobody else sends."""
    return [scene.bench.fresh(stem).encode() for stem in stems]
