"""Stories about records that are missing, late, invented or changed."""

from tests.history.cases.base import bad, good

# ruff: noqa: E501 - a table: one line per story
# fmt: off
CASES = (
    bad("lost", "DELIVER-1", "ann settles; send a@0.0 b@0.1 c@0.2; reads a c"),
    bad("lost", "DELIVER-1", "given positions=no; ann settles; send a/k b/k; reads b"),
    good("lost", "the second of three lies in another partition", "ann settles; send a@0.0 b@1.0 c@0.1; reads a c"),
    good("lost", "the first one may not have been stored", "given positions=no; ann settles; send a/k -> ?; send b/k; reads b"),
    good("lost", "two publishes of one key overlap", "given positions=no; ann settles; send a/k [20-22]; send b/k [21-23]; gets b"),
    bad("lost", "DELIVER-1", "ann settles; send a@0.0 b@0.1 c@0.2; reads a; bob joins group=h; wait 10; bob beats; reads a; gets c"),
    bad("started late", "DELIVER-1", "ann settles; send a@0.0 b@0.1; reads a; bob joins group=h; wait 10; bob beats; gets b"),
    bad("started late", "DELIVER-1", "send a@0.0 b@0.1; ann settles; gets b"),
    good("started late", "it may have been freed before the group read its topic", "given frees=yes; ann settles; send a@0.0 b@0.1; reads a; bob joins group=h; wait 10; bob beats; gets b"),
    good("started late", "the oldest record of the other partition comes first", "send a@0.0 b@1.0; ann settles; reads b a"),
    good("lost", "it may have been freed before the group read its topic", "given frees=yes; ann settles; send a@0.0 b@0.1; reads a; bob joins group=h; wait 10; bob beats; gets b"),
    bad("lost", "DELIVER-1", "given frees=yes; ann settles; bob joins group=h; wait 10; send a@0.0 b@0.1; ann reads a; bob beats; gets b"),
    bad("started late", "DELIVER-1", "given frees=yes; ann settles; send a@0.0 b@0.1; gets a; bob joins group=h; wait 10; ann acks a; bob beats; gets b"),
    bad("unseen", "DELIVER-1", "ann settles; send a@0.0; polls"),
    # A producer acknowledgement proves that the record was stored.
    bad("unseen", "DELIVER-1", "ann settles; listen; send a -> ?; ACK a; polls"),
    good("unseen", "the poll overlaps the publish", "ann settles; send a@0.0 [20-22]; polls [21-23]"),
    good("unseen", "the group may still be rebalancing", "ann joins; send a@0.0; polls"),
    good("unseen", "a poll without a reply may have taken it", "ann settles; send a@0.0; polls -> ?; polls"),
    good("unseen", "a record of its partition is in flight", "ann settles; send a@0.0 b@0.1; gets a; polls"),
    good("unseen", "another member may own its partition", "ann bob settle; send a@0.0; ann polls"),
    good("unseen", "an eviction may have started a rebalance", "given heartbeat_timeout=20.0; ann bob settle; wait 10; ann beats; wait 8.5; bob beats -> 404; send a@0.0; ann polls"),
    good("unseen", "the clock advance may have evicted the other member", "ann bob settle; advance 25; ann beats; advance 25; send a@0.0; polls"),
    bad("stale", "POLL-OK-1", "ann settles; send a@0.0; polls; reads a"),
    bad("stale", "DELIVER-2", "ann settles; send a@0.0; gets a; leaves; bob settles; polls"),
    bad("stale", "POLL-FAIR-1", "ann settles; send a@0.0 b@1.0; gets a; polls; reads b"),
    bad("stale", "NACK-AGAIN-1", "ann settles; send a@0.0; gets a; returns a; polls; reads a"),
    good("stale", "the acknowledgement of its predecessor overlaps the poll", "ann settles; send a@0.0 b@0.1; gets a; acks a [30-32]; polls [31-33]; reads b"),
    bad("phantom", "DELIVER-4", "ann settles; gets a"),
    bad("phantom", "PUB-BODY-2", "ann settles; send a -> 400; gets a"),
    bad("phantom", "DELIVER-4", "ann settles; gets a@0.0; send a@0.0"),
    good("phantom", "a publish without a reply may have been stored", "ann settles; send a -> ?; reads a"),
    bad("changed", "PUB-TEXT-1", "ann settles; send a/K@0.0; gets a key=k"),
    good("changed", "the empty key is no key", "ann settles; send a/@0.0; gets a key=none"),
    bad("owned by none", "REBALANCE-1", "ann bob settle; send a@0.0; ann bob poll"),
    good("owned by none", "a third consumer may be subscribed", "ann bob join; cid registers; subscribes -> ?; wait 10; ann bob beat; send a@0.0; ann bob poll"),
    good("owned by none", "one of them polled before it was stored", "ann bob settle; ann polls; send a@0.0; bob polls"),
)
