"""Stories about repeated deliveries."""

from tests.history.cases.base import bad, good

# ruff: noqa: E501 - a table: one line per story
# fmt: off
CASES = (
    bad("duplicate", "DELIVER-3", "ann settles; send a@0.0; gets a; gets a"),
    # The first poll may precede each of the next two, which were given back, but not the last.
    bad("duplicate", "DELIVER-3", "ann bob settle; send a@0.0; ann gets a [30-40]; bob gets a [31-32]; returns a [33-34]; gets a [35-36]; returns a [36.5-37]; gets a [38-39]; ann bob beat"),
    bad("duplicate", "DELIVER-3", "ann bob settle; send a@0.0; ann gets a [30-32]; bob gets a [31-33]; ann beats; bob beats"),
    good("duplicate", "the record was given back", "ann settles; send a@0.0; gets a; returns a; gets a"),
    good("duplicate", "the record may have been given back", "ann settles; send a@0.0; gets a; returns a -> ?; gets a"),
    good("duplicate", "the holder unsubscribed", "ann settles; send a@0.0; gets a; unsubscribes; subscribes; gets a"),
    good("duplicate", "the silent holder may have been evicted", "ann bob settle; send a@0.0; ann gets a; 4 x (wait 9; bob beats); gets a"),
    good("duplicate", "a rebalance may have revoked it", "ann settles; send a@0.0; gets a; bob joins; wait 6; ann beats; bob gets a; ann beats"),
    good("duplicate", "each group gets the record", "ann settles; bob joins group=h; send a@0.0; ann gets a; bob gets a"),
    bad("redelivery after acknowledgement", "ACK-COMMIT-1", "ann settles; send a@0.0; reads a; gets a"),
    good("redelivery after acknowledgement", "the acknowledgement may have failed before the holder left", "ann bob settle; send a@0.0; ann gets a; acks a -> ?; leaves; bob gets a"),
    good("redelivery after acknowledgement", "another group acknowledged it", "ann settles; bob joins group=h; send a@0.0; reads a; ann gets a"),
    bad("commit went back", "ACK-COMMIT-1", "ann settles; send a@0.0 b@0.1; reads a b; gets a"),
    good("commit went back", "the acknowledgement of both may have failed before the holder left", "ann bob settle; send a@0.0 b@0.1; ann gets a; acks a -> ?; leaves; bob reads a b"),
    good("commit went back", "a new group starts at the oldest record", "ann settles; send a@0.0 b@0.1; reads a b; bob joins group=h; reads a b"),
    bad("stored twice", "DELIVER-4", "ann settles; send a; gets a@0.0; acks a; gets a@0.1"),
    good("stored twice", "both deliveries have one position", "ann settles; send a; gets a@0.0; returns a; gets a@0.0"),
    bad("mismarked redelivery", "POLL-REDELIVERED-1", "ann settles; send a@0.0; gets a redelivered=no; returns a; gets a redelivered=no"),
    bad("mismarked redelivery", "POLL-REDELIVERED-1", "ann settles; send a@0.0; gets a redelivered=yes"),
    good("mismarked redelivery", "a poll without a reply may have been the first", "ann bob settle; send a@0.0; bob polls -> ?; leaves; ann gets a redelivered=yes"),
    good("mismarked redelivery", "either of two overlapping polls may have been the first", "ann bob settle; send a@0.0; ann gets a redelivered=yes [30-34]; bob gets a redelivered=no [31-32]; leaves [32.5-33]"),
    bad("id in use", "POLL-OK-2", "ann settles; send a@0.0 b@1.0; gets a id=7; gets b id=7"),
    good("id in use", "the first record was settled before", "ann settles; send a@0.0 b@0.1; gets a id=7; acks a; gets b id=7; acks b"),
    good("id in use", "one record has one id in two groups", "ann settles; bob joins group=h; send a@0.0; ann gets a id=7; bob gets a id=7"),
    bad("not delivered again", "DELIVER-2", "ann bob settle; send a@0.0 b@0.1; ann gets a; leaves; bob gets b"),
    good("not delivered again", "the released record comes first", "ann bob settle; send a@0.0 b@0.1; ann gets a; leaves; bob reads a b"),
    good("not delivered again", "the leaver may have acknowledged it", "ann bob settle; send a@0.0 b@0.1; ann gets a; acks a -> ?; leaves; bob gets b"),
    bad("given back and skipped", "NACK-AGAIN-1", "ann settles; send a@0.0 b@0.1; gets a; returns a; gets b"),
    bad("more than one in flight", "ORDER-2", "given rebalance_timeout=0.0; ann settles; send a@0.0 b@0.1; gets a; returns a; gets a; bob joins; ann gets b"),
    bad("given back and skipped", "NACK-AGAIN-1", "ann settles; send a@0.0 b@0.1; gets a; returns a; gets a; returns a; gets b"),
    good("given back and skipped", "the returned record comes first", "ann settles; send a@0.0 b@0.1; gets a; returns a; reads a b"),
)
