"""Sample producer: registers a topic, then publishes a record every DELAY seconds over STOMP on WebSocket.

Each record is printed when it is sent, and again when the broker acknowledges that it is stored.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import stomper
import websocket

from http_api import BrokerApi, BrokerRefused, BrokerUnreachable, advice, count, print_by_lines, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBSCRIPTION = "acknowledgements"
FAREWELL_SECONDS = 2.0
CUSTOMERS = ("ada", "blaise", "carl", "dorothy", "emmy")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 0 after Ctrl-C or --count, 1 after a refusal, 2 if no broker answers."""
    options = _parse(arguments)
    print_by_lines()
    try:
        broker = BrokerApi(options.url)
        _register(broker, options.topic)
        broker.close()
        _publish(options)
    except BrokerRefused as refused:
        print(f"The broker refused: {refused}", file=sys.stderr)
        return 1
    except (BrokerUnreachable, OSError, websocket.WebSocketException) as error:
        print(advice(options.url, error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nleft before publishing")
    return 0


def _register(broker: BrokerApi, topic: str) -> None:
    reply = broker.require("/topic/add-topic", {"topicName": topic}, also=(400, 409))
    # Some brokers answer 400 without a reason if the topic exists: publishing shows if it does.
    if reply.status == 400 and isinstance(reply.body, dict) and "detail" in reply.body:
        raise BrokerRefused(f"/topic/add-topic: {reply.reason}")
    print(f"topic {topic}: {'registered' if reply.status == 200 else reply.reason}")


def _publish(options: argparse.Namespace) -> None:
    url = urlsplit(options.url)
    endpoint = url._replace(scheme=url.scheme.replace("http", "ws"), path=url.path.rstrip("/") or "/producer")
    link = websocket.create_connection(endpoint.geturl(), timeout=10, subprotocols=["v11.stomp"])
    try:
        # `stomper` always writes a login, even an empty one; a broker without accounts ignores it.
        link.send(stomper.connect("", "", url.hostname))
        answer = stomper.unpack_frame(link.recv())
        if answer["cmd"] != "CONNECTED":
            raise BrokerRefused(answer["headers"].get("message", answer["cmd"]))
        link.send(stomper.subscribe(f"/topic/acknowledgment/{options.topic}", SUBSCRIPTION))
        print(f"publishing to {options.topic} every {options.delay:g} s; Ctrl-C ends it")
        numbers: Iterator[int] = (
            itertools.count(1) if options.count is None else iter(range(1, options.count + 1))
        )
        try:
            _send_and_report(link, options, numbers)
        except KeyboardInterrupt:
            print("\nleaving")
        _leave(link)
    finally:
        link.close()


def _send_and_report(link: websocket.WebSocket, options: argparse.Namespace, numbers: Iterator[int]) -> None:
    outstanding = 0
    started = time.monotonic()
    for number in numbers:
        record = {
            "messageID": f"{options.topic}-{time.time_ns()}",
            "key": CUSTOMERS[number % len(CUSTOMERS)],
            "message": f"order {number}",
            "timestamp": time.time_ns() // 1_000_000,
        }
        link.send(
            stomper.send(
                f"/producer/publish/{options.topic}", json.dumps(record), content_type="application/json"
            )
        )
        print(f"sent          {record['messageID']}  key={record['key']}  {record['message']!r}")
        outstanding += 1
        outstanding -= _report_until(link, started + number * options.delay, wanted=outstanding)
    if outstanding:
        _report_until(link, time.monotonic() + 5, wanted=outstanding, stop_when_done=True)


def _report_until(
    link: websocket.WebSocket, deadline: float, *, wanted: int, stop_when_done: bool = False
) -> int:
    """Print the acknowledgements that arrive before `deadline` (monotonic seconds); returns their number."""
    got = 0
    while not (stop_when_done and got >= wanted):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        link.settimeout(left)
        try:
            octets = link.recv()
        except websocket.WebSocketTimeoutException:
            break
        if not octets.strip():
            continue  # a heart-beat
        frame = stomper.unpack_frame(octets)
        if frame["cmd"] == "ERROR":
            raise BrokerRefused(frame["headers"].get("message", "ERROR") + ": " + frame["body"])
        if frame["cmd"] == "MESSAGE":
            acknowledgement = json.loads(frame["body"])
            got += 1
            if acknowledgement["acknowledgementMessage"] == "ACK":
                print(f"acknowledged  {acknowledgement['messageId']}")
            else:
                reason = acknowledgement.get("reason", "no reason given")
                print(f"FAILED        {acknowledgement['messageId']}: {reason}")
    return got


def _leave(link: websocket.WebSocket) -> None:
    """DISCONNECT, and wait for the receipt that shows that the broker has processed all frames."""
    # Written by hand: stomper.disconnect() leaves out the empty line after the headers.
    link.send("DISCONNECT\nreceipt:bye\n\n\x00")
    deadline = time.monotonic() + FAREWELL_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        link.settimeout(left)
        try:
            octets = link.recv()
        except (websocket.WebSocketException, OSError):
            return
        if not octets or stomper.unpack_frame(octets)["cmd"] == "RECEIPT":
            return


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="producer.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python scripts/producer.py orders 0.5",
    )
    parser.add_argument("topic", metavar="TOPIC", help="topic to register and publish to")
    parser.add_argument("delay", metavar="DELAY", type=seconds, help="seconds between two records")
    parser.add_argument(
        "--url",
        default="ws://127.0.0.1:8080/producer",
        help="WebSocket endpoint of the broker (default: %(default)s)",
    )
    parser.add_argument(
        "--count", type=count, help="stop after this many records (default: run until Ctrl-C)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
