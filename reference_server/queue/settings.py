"""Settings of the queue; every bound is a limit of the server (CAP-1)."""

from typing import Annotated, Literal

import msgspec

from reference_server.units import MIB, Count, Delay, Octets, Seconds


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Each setting has its type, the text of `--help` and its default; times are seconds of the queue's clock."""

    brokers: Annotated[Count, "brokers over which partitions are placed"] = 3
    partitions: Annotated[Count, "partitions of a topic that does not ask for a number"] = 4
    heartbeat_timeout: Annotated[Seconds, "silence after which a consumer is evicted"] = 30.0
    eviction_grace: Annotated[Delay, "declared delay by which an eviction may be late"] = 1.0
    rebalance_timeout: Annotated[
        Seconds, "time after which a record in flight is taken back from a partition that moves"
    ] = 30.0
    retention: Annotated[
        Literal["keep", "acknowledged"],
        "keep: a full partition refuses records; acknowledged: it frees those that every group of the topic has"
        " acknowledged, oldest first",
    ] = "keep"

    topics: Annotated[Count, "topics at once"] = 1_000_000
    groups: Annotated[Count, "consumer groups at once"] = 1_000_000
    consumers: Annotated[Count, "registered consumers at once"] = 1_000_000
    topic_partitions: Annotated[Count, "partitions that one topic may ask for"] = 1024
    all_partitions: Annotated[Count, "partitions of all topics together"] = 1_000_000
    cursors: Annotated[Count, "partitions that groups follow, counted once for each group"] = 1_000_000
    records: Annotated[Count, "records stored in all partitions"] = 5_000_000
    partition_bytes: Annotated[Octets, "keys and messages stored in one partition"] = 256 * MIB
    total_bytes: Annotated[Octets, "all that the server keeps: records, messages, frames, output"] = 512 * MIB
    name_length: Annotated[Count, "characters of a name"] = 128
    poll_messages: Annotated[Count, "records in the answer of one batch poll"] = 100
    wait_seconds: Annotated[Seconds, "longest long poll"] = 30.0
