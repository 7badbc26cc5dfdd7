"""Stories about consumer acknowledgements."""

from tests.history.cases.base import bad, good

# ruff: noqa: E501 - a table: one line per story
# fmt: off
CASES = (
    bad("accepted from a non-owner", "ACK-OTHER-1", "ann bob settle; send a@0.0; ann gets a; bob acks a; ann beats"),
    bad("accepted from a non-owner", "ACK-OTHER-1", "ann bob settle; send a@0.0; ann gets a; returns a; bob gets a; ann acks a"),
    good("accepted from a non-owner", "the acknowledgement is refused", "ann bob settle; send a@0.0; ann gets a; bob acks a -> 409; ann acks a"),
    good("accepted from a non-owner", "a poll without a reply may have taken it", "ann bob settle; send a@0.0; ann gets a; returns a; bob polls -> ?; acks a"),
    good("accepted from a non-owner", "it got the same record in another group", "ann settles; bob joins group=h; send a@0.0; ann gets a; bob gets a; acks a"),
    bad("accepted for nothing", "ACK-UNKNOWN-1", "ann settles; acks a"),
    good("accepted for nothing", "the poll that returns it overlaps", "ann settles; send a@0.0; gets a [30-32]; acks a [31-33]"),
    bad("accepted twice", "ACK-UNKNOWN-1", "ann settles; send a@0.0; reads a; acks a"),
    good("accepted twice", "the second acknowledgement is refused", "ann settles; send a@0.0; reads a; acks a -> 409"),
    good("accepted twice", "the first acknowledgement may have failed", "ann settles; send a@0.0; gets a; acks a -> ?; acks a"),
    bad("accepted late", "ACK-UNKNOWN-1", "ann settles; send a@0.0; gets a; returns a; acks a"),
    bad("accepted late", "ACK-UNKNOWN-1", "ann settles; send a@0.0; gets a; unsubscribes; acks a"),
    good("accepted late", "it got the record again", "ann settles; send a@0.0; gets a; returns a; gets a; acks a"),
    good("accepted late", "the return may have failed", "ann settles; send a@0.0; gets a; returns a -> ?; acks a"),
    bad("holder refused", "ACK-OK-1", "ann settles; send a@0.0; gets a; acks a -> 409"),
    bad("holder refused", "REBALANCE-2", "ann settles; send a@0.0; gets a; bob joins; ann acks a -> 409"),
    good("holder refused", "the rebalance may have revoked it", "ann settles; send a@0.0; gets a; bob joins; wait 5; ann acks a -> 409"),
    good("holder refused", "the acknowledgement overlaps the poll", "ann settles; send a@0.0; gets a [30-32]; acks a -> 409 [31-33]"),
    bad("committed by a zombie", "LIVE-GONE-3", "ann bob settle; send a@0.0 b@0.1; ann gets a; 4 x (wait 9; bob beats); ann acks a -> 404; bob gets b"),
    good("committed by a zombie", "the record comes again", "ann bob settle; send a@0.0 b@0.1; ann gets a; 4 x (wait 9; bob beats); ann acks a -> 404; bob reads a b"),
    bad("committed though refused", "REFUSE-1", "ann settles; send a@0.0 b@0.1; gets a; returns a; acks a -> 409; gets b"),
    good("committed though refused", "the record comes again", "ann settles; send a@0.0 b@0.1; gets a; returns a; acks a -> 409; reads a b"),
)
