"""Stories about the assignment of partitions and of subscriptions."""

from tests.history.cases.base import bad, good

# ruff: noqa: E501 - a table: one line per story
# fmt: off
CASES = (
    bad("two owners at once", "ASSIGN-1", "ann bob settle; send a@0.0 b@0.1; ann reads a; bob reads b"),
    bad("two owners at once", "ASSIGN-1", "given positions=no; ann bob settle; send a/k b/k; ann reads a; bob reads b"),
    good("two owners at once", "a rebalance came between", "ann bob settle; send a@0.0 b@0.1; ann reads a; cid joins; wait 10; bob reads b"),
    good("two owners at once", "a rebalance is under way", "send a@0.0 b@0.1; ann bob join; ann reads a; bob reads b"),
    good("two owners at once", "an eviction may have come between", "given heartbeat_timeout=25.0; ann bob cid settle; send a@0.0 b@0.1; ann reads a; 3 x (wait 6; ann bob beat); bob reads b"),
    bad("unfair assignment", "ASSIGN-2", "ann bob settle; send a@0.0 b@1.0; ann reads a b; bob beats"),
    good("unfair assignment", "its share of three partitions is two", "given partitions=3; ann bob settle; send a@0.0 b@1.0; ann reads a b; bob beats"),
    good("unfair assignment", "the other member is subscribed to another topic", "ann joins; bob joins topic=u; wait 10; send a@0.0 b@1.0; ann reads a b; bob beats"),
    bad("delivery without subscription", "POLL-NONE-1", "ann registers; send a@0.0; gets a"),
    bad("delivery without subscription", "MEMBER-UNSUBSCRIBE-1", "ann settles; unsubscribes; send a@0.0; gets a"),
    good("delivery without subscription", "a subscription without a reply may have succeeded", "ann registers; subscribes -> ?; send a@0.0; gets a"),
    good("delivery without subscription", "it subscribed again", "ann settles; unsubscribes; subscribes; send a@0.0; gets a"),
    bad("moved under its holder", "REBALANCE-2", "ann settles; send a@0.0 b@0.1; gets a; bob joins; gets b; ann acks a"),
    good("moved under its holder", "the first record was acknowledged before", "ann settles; send a@0.0 b@0.1; gets a; bob joins; ann acks a; bob gets b"),
)
