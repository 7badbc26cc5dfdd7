"""Sample consumer: joins a consumer group, polls a topic every DELAY seconds and acknowledges each record.

Between polls it sends heartbeats, so that the broker does not evict it and reassign its partitions.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time

from http_api import BrokerApi, BrokerRefused, BrokerUnreachable, advice, count, print_by_lines, seconds

TOPIC_SECONDS = 1.0  # between two looks for a topic that is missing
HEARTBEAT_SECONDS = 5.0  # well below the 30 s after which most brokers evict a silent consumer


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 0 after Ctrl-C or --count, 1 after a refusal, 2 if no broker answers."""
    options = _parse(arguments)
    print_by_lines()
    try:
        broker = BrokerApi(options.url)
        try:
            _join(broker, options)
            _consume(broker, options, _heartbeat_interval(broker))
        except KeyboardInterrupt:
            print("\nleaving")
            broker.close()  # Ctrl-C may have cut a request short: leaving needs a new connection
        _leave(broker, options)
    except BrokerRefused as refused:
        print(f"The broker refused {refused}", file=sys.stderr)
        return 1
    except BrokerUnreachable as error:
        print(advice(options.url, error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nleft without a farewell: the broker evicts this consumer when it has been silent for too long"
        )
    return 0


def _join(broker: BrokerApi, options: argparse.Namespace) -> None:
    """Register and subscribe. As long as there is no such topic, wait for a producer to add it."""
    group, consumer = options.group, options.consumer
    _register(broker, options)
    pause = threading.Event()  # never set; Ctrl-C interrupts its wait
    is_waiting = False
    while not _subscribe(broker, options):
        if not is_waiting:
            is_waiting = True
            print(f"waiting for the topic {options.topic}, which a producer has to add; Ctrl-C ends it")
        pause.wait(TOPIC_SECONDS)
        if broker.call("/consumer/heartbeat", {"consumer_name": consumer}).status == 404:
            _register(broker, options)  # evicted, or the broker restarted
    print(f"{consumer} joined {group} and reads {options.topic}; Ctrl-C ends it")


def _register(broker: BrokerApi, options: argparse.Namespace) -> None:
    group, consumer = options.group, options.consumer
    broker.require("/consumer-group/add", {"consumer_group_name": group})
    broker.require("/consumer/register-consumer", {"consumer_group_name": group, "consumer_name": consumer})


def _subscribe(broker: BrokerApi, options: argparse.Namespace) -> bool:
    """Subscribe; False if there is no such topic yet."""
    reply = broker.require(
        "/consumer/subscribe-topic",
        {"consumer_name": options.consumer, "topic_list": options.topic},
        also=(404,),
    )
    return reply.status != 404


def _heartbeat_interval(broker: BrokerApi) -> float:
    """Seconds between two heartbeats: a third of the heartbeat timeout if the broker declares one."""
    declared = broker.get("/capabilities").body
    timings = declared.get("timings") if isinstance(declared, dict) else None
    timeout = timings.get("heartbeat_timeout") if isinstance(timings, dict) else None
    return min(HEARTBEAT_SECONDS, timeout / 3) if isinstance(timeout, int | float) else HEARTBEAT_SECONDS


def _consume(broker: BrokerApi, options: argparse.Namespace, interval: float) -> None:
    acknowledged = 0
    while options.count is None or acknowledged < options.count:
        due = time.monotonic() + options.delay
        reply = broker.call("/consumer/poll", {"consumer_name": options.consumer})
        if reply.status == 200:
            _acknowledge(broker, options.consumer, reply.body)
            acknowledged += 1
        elif reply.status == 404:
            print("the group went on without us (evicted, or the broker restarted): joining again")
            _join(broker, options)
        elif not 200 <= reply.status < 300:
            raise BrokerRefused(f"/consumer/poll: {reply.reason}")
        if acknowledged != options.count:
            _stay_alive_until(broker, options.consumer, due, interval)


def _acknowledge(broker: BrokerApi, consumer: str, record: dict[str, object]) -> None:
    content = record["message"]
    assert isinstance(content, dict)
    reply = broker.call(
        "/consumer/acknowledgement", {"consumer_name": consumer, "message_id": record["messageId"]}
    )
    outcome = (
        "acknowledged" if reply.status == 202 else f"NOT acknowledged ({reply.reason}): it will come again"
    )
    print(f"{record['messageId']!s:>8}  key={content.get('key')}  {content['message']!r}  {outcome}")


def _stay_alive_until(broker: BrokerApi, consumer: str, due: float, interval: float) -> None:
    """Wait until `due` (monotonic seconds), with a heartbeat every `interval` seconds."""
    pause = threading.Event()  # never set; Ctrl-C interrupts its wait
    while (left := due - time.monotonic()) > 0:
        if not pause.wait(min(left, interval)) and left > interval:
            broker.call("/consumer/heartbeat", {"consumer_name": consumer})


def _leave(broker: BrokerApi, options: argparse.Namespace) -> None:
    """Give up the partitions at once: unregister if the broker has the extension, otherwise unsubscribe."""
    with contextlib.suppress(BrokerUnreachable):
        if broker.call("/consumer/unregister-consumer", {"consumer_name": options.consumer}).status >= 300:
            broker.call(
                "/consumer/unsubscribe-topic",
                {"consumer_name": options.consumer, "topic_list": options.topic},
            )
    broker.close()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="consumer.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python scripts/consumer.py alice billing orders 0.5",
    )
    parser.add_argument("consumer", metavar="CONSUMER", help="name of this consumer, unique on the broker")
    parser.add_argument("group", metavar="GROUP", help="consumer group to join; created if missing")
    parser.add_argument(
        "topic", metavar="TOPIC", help="topic to subscribe to; the consumer waits until a producer adds it"
    )
    parser.add_argument("delay", metavar="DELAY", type=seconds, help="seconds between two polls")
    parser.add_argument(
        "--url", default="http://127.0.0.1:8080", help="http or ws URL of the broker (default: %(default)s)"
    )
    parser.add_argument(
        "--count", type=count, help="leave after this many records (default: run until Ctrl-C)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
