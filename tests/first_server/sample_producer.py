"""Sample producer of the first users: `python -m tests.first_server.sample_producer TOPIC DELAY --url ws://…`.

It never sends CONNECT, takes its frames from `stomper`, and labels records with the time in whole seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time

import stomper
import websocket

PATIENCE = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Publish `--count` records, one every DELAY seconds, and print the acknowledgement of each; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument("delay", metavar="DELAY", type=float, help="seconds between two records")
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=1)
    options = parser.parse_args(arguments)
    link = websocket.create_connection(options.url, timeout=PATIENCE)
    pause = threading.Event()
    link.send(stomper.subscribe(f"/topic/acknowledgement/{options.topic}", "acknowledgement", ack="auto"))
    for number in range(options.count):
        record = {
            "messageID": str(int(time.time())),
            "key": f"key {number % 3}",
            "message": f"order {number}",
            "timestamp": time.time() * 1000,
        }
        link.send(stomper.send(f"/publish/{options.topic}", json.dumps(record)))
        told = json.loads(stomper.unpack_frame(link.recv())["body"])
        print(told["acknowledgementMessage"], record["message"], flush=True)
        pause.wait(options.delay)
    link.send(stomper.disconnect("bye"))
    link.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
