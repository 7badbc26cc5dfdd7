"""Stories about the order of records in a partition, and their positions."""

from tests.history.cases.base import bad, good

# ruff: noqa: E501 - a table: one line per story
# fmt: off
CASES = (
    bad("poll-skip", "ORDER-1", "ann settles; send a/k@0.0 b/l@0.1; reads b a"),
    good("poll-skip", "they lie in two partitions", "ann settles; send a@0.0 b@1.0; reads b a"),
    good("poll-skip", "the acknowledgement of the first overlaps the second poll", "ann settles; send a@0.0 b@0.1; gets a; acks a [30-33]; gets b [31-32]"),
    bad("key order broken", "ORDER-1", "given positions=no; ann settles; send a/k b/k; bob joins; reads b; ann reads a"),
    good("key order broken", "records of two keys have no order", "given positions=no; ann settles; send a/k b/l; reads b; reads a"),
    good("key order broken", "publishes of one key that overlap have no order", "given positions=no; ann settles; send a/k [20-23]; send b/k [21-22]; reads b; reads a"),
    bad("more than one in flight", "ORDER-2", "ann settles; send a@0.0 b@0.1; gets a; gets b"),
    good("more than one in flight", "it holds one of each partition", "ann settles; send a@0.0 b@1.0; gets a; gets b"),
    bad("nonmonotonic poll", "ORDER-1", "ann settles; send a@0.0 b@0.1; reads a b; gets a"),
    good("nonmonotonic poll", "the consumer gave the record back", "ann settles; send a@0.0 b@0.1; reads a; gets b; returns b; gets b"),
    bad("nonmonotonic send", "PUB-STORE-1", "send a@0.1 b@0.0"),
    good("nonmonotonic send", "the publishes overlap", "send a@0.1 [1-3]; send b@0.0 [2-4]"),
    bad("inconsistent offsets", "PUB-POSITION-1", "send a@0.0 b@0.0"),
    bad("inconsistent offsets", "PUB-POSITION-1", "ann settles; send a@0.0; gets a@1.0"),
    good("inconsistent offsets", "each partition has its own offsets", "ann settles; send a@0.0 b@1.0; gets a@0.0"),
    bad("offset gap", "PUB-POSITION-1", "send a@0.0 b@0.2"),
    good("offset gap", "a publish without a reply may fill the gap", "send a@0.0; send x -> ?; send b@0.2"),
    bad("key moved to another partition", "PART-KEY-1", "send a/k@0.0 b/k@1.0"),
    good("key moved to another partition", "a key has one partition in each topic", "send a/k@0.0; send b/k@1.0 topic=u"),
    good("key moved to another partition", "the empty key is no key", "send a/@0.0 b/@1.0"),
    bad("uneven spread", "PART-RR-1", "send a/@0.0 b/@0.1"),
    good("uneven spread", "a record with a key lies between them", "send a/@0.0 x/k@0.1 b/@0.2"),
    good("uneven spread", "an overlapping publish may lie between them", "send a/@0.0 [1-2]; send b/@0.1 [3-6]; send c/@1.0 [4-5]"),
    good("uneven spread", "a publish without a reply may lie between them", "send x/ -> ?; send a/@0.0 b/@0.1"),
)
