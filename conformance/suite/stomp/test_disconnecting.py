"""The end of a session, orderly or not: STOMP-DISCONNECT-*."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.patience import BRIEFLY
from conformance.suite.stomp.reactions import ATTEMPTS
from conformance.suite.stomp.scene import Scene
from conformance.suite.stomp.session_end import judge_all_came, judge_left_alone
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.scene import Subscription
    from conformance.wire.stomp import StompClient

BURST = 50


@clauses("STOMP-DISCONNECT-001")
@pytest.mark.parametrize("way", ["one by one", "together"])
def test_disconnect_is_receipted_behind_all_earlier_frames(bench: Bench, way: str) -> None:
    """The RECEIPT of a DISCONNECT tells that everything before it was received: all of it turns up."""
    scene = Scene(bench)
    place, reader = scene.topic(), scene.client()
    subscription = scene.subscribed(reader, place)
    for attempt in range(1, ATTEMPTS + 1):
        client = scene.client()
        bodies = [b"%d-%d" % (attempt, number) for number in range(BURST)]
        with client.link.in_one_write() if way == "together" else nullcontext():
            for body in bodies:
                scene.send(client, place, body)
            client.disconnect(receipt="bye")
        try:
            client.expect("RECEIPT", receipt_id="bye")
        except PeerFailure as failure:
            # The last frame may get lost on the way (STOMP-LINGER-002), but not every time.
            scene.judge(
                "STOMP-DISCONNECT-001",
                attempt < ATTEMPTS,
                expected=f"the RECEIPT of the DISCONNECT, in one of {ATTEMPTS} attempts",
                observed=failure.observed,
            )
            continue
        client.link.cut()
        judge_all_came(scene, "STOMP-DISCONNECT-001", subscription, bodies)
        return


@clauses("STOMP-DISCONNECT-002")
def test_whether_the_server_closes_after_disconnect(bench: Bench) -> None:
    """Recorded: who closes the connection."""
    scene = Scene(bench)
    client = scene.client()
    client.disconnect(receipt="bye")
    try:
        how = str(client.expect_end(BRIEFLY))
    except PeerFailure:
        how = f"the connection is open {BRIEFLY:g} s later"
    scene.observe("STOMP-DISCONNECT-002", how)


@clauses("STOMP-DISCONNECT-003")
def test_what_becomes_of_frames_behind_disconnect(bench: Bench) -> None:
    """Recorded: whether a message that is sent after DISCONNECT is delivered."""
    scene = Scene(bench)
    place, reader = scene.topic(), scene.client()
    subscription = scene.subscribed(reader, place)
    client = scene.client()
    client.disconnect()
    scene.send(client, place, b"late")
    came = any(frame.body == b"late" for frame in scene.until_marker(subscription))
    scene.observe("STOMP-DISCONNECT-003", "carried out" if came else "ignored")


@clauses("STOMP-DISCONNECT-004")
def test_disconnect_without_receipt_ends_the_session_in_silence(bench: Bench) -> None:
    """Neither RECEIPT nor ERROR comes, and the subscriptions of the session are gone."""
    scene = Scene(bench)
    if not bench.target.fact("queues"):
        client = scene.client()
        client.disconnect()
        with suppress(PeerFailure):
            client.expect_end(BRIEFLY)
        if not _judge_silence(scene, client):
            return
        bench.skip(
            "STOMP-DISCONNECT-004", "without queues nobody else gets what a dead subscription would have got"
        )
        return
    leaving, staying, sender = scene.client(), scene.client(), scene.client()
    left = _shared(scene, leaving, staying)
    leaving.disconnect()
    for subscription in left:
        judge_left_alone(scene, "STOMP-DISCONNECT-004", subscription, sender)
    _judge_silence(scene, leaving)


def _judge_silence(scene: Scene, client: StompClient) -> bool:
    """Judge that no answer to a DISCONNECT without receipt has come."""
    frames = [frame for frame in client.drain() if frame.command != "MESSAGE"]
    return scene.judge(
        "STOMP-DISCONNECT-004",
        not frames,
        expected="neither RECEIPT nor ERROR for a DISCONNECT without receipt",
        observed=frames[0].octets if frames else "nothing",
    )


@clauses("STOMP-DISCONNECT-005")
@pytest.mark.parametrize("how", ["close-frame", "cut"])
def test_the_session_ends_with_its_connection(bench: Bench, how: str) -> None:
    """A connection that ends without DISCONNECT takes all of its subscriptions with it."""
    scene = Scene(bench)
    if not bench.target.fact("queues"):
        bench.skip(
            "STOMP-DISCONNECT-005", "without queues nobody else gets what a dead subscription would have got"
        )
        return
    leaving, staying, sender = scene.client(), scene.client(), scene.client()
    left = _shared(scene, leaving, staying)
    if how == "cut":
        leaving.link.cut()
    else:
        leaving.close()
    for subscription in left:
        judge_left_alone(scene, "STOMP-DISCONNECT-005", subscription, sender)


def _shared(scene: Scene, leaving: StompClient, staying: StompClient) -> list[Subscription]:
    """Two queues to which both are subscribed: the subscriptions of the one that stays."""
    places = [scene.queue(), scene.queue()]
    for place in places:
        scene.subscribed(leaving, place)
    return [scene.subscribed(staying, place) for place in places]
