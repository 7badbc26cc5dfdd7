"""Stories about evictions and registrations."""

from tests.history.cases.base import bad, good

# ruff: noqa: E501 - a table: one line per story
# fmt: off
CASES = (
    bad("evicted early", "LIVE-KEEP-1", "ann settles; wait 27; polls -> 404"),
    good("evicted early", "the timeout has passed", "ann settles; wait 29; polls -> 404"),
    good("evicted early", "it may have left", "ann settles; leaves -> ?; polls -> 404"),
    good("evicted early", "the reply is so late that the timeout may have passed", "ann settles; polls -> 404 [34.5-45.5]"),
    bad("evicted late", "LIVE-EVICT-1", "ann settles; wait 31; beats"),
    bad("evicted late", "LIVE-EVICT-1", "ann settles; advance 31; beats"),
    good("evicted late", "the grace has not passed", "ann settles; wait 29.5; beats"),
    good("evicted late", "a heartbeat without a reply may have arrived late", "ann settles; beats -> ?; wait 40; beats"),
    good("evicted late", "a refused operation may be a sign of life", "ann settles; wait 20; acks x -> 409; wait 20; beats"),
    bad("delivery to an evicted consumer", "LIVE-GONE-1", "ann settles; wait 31; beats -> 404; send a@0.0; gets a"),
    good("delivery to an evicted consumer", "it registered again", "ann settles; wait 31; beats -> 404; joins; send a@0.0; gets a"),
    bad("served after eviction", "LIVE-GONE-1", "ann settles; wait 31; beats -> 404; subscribes"),
    bad("served after eviction", "LIVE-GONE-3", "ann settles; send a@0.0; gets a; wait 31; beats -> 404; acks a"),
    good("served after eviction", "the two refused operations overlap", "ann settles; wait 31; beats -> 404; polls -> 404 [45.5-46.7]"),
    bad("served after leaving", "MEMBER-UNREGISTER-1", "ann settles; leaves; beats"),
    good("served after leaving", "it registered again", "ann settles; leaves; registers; beats"),
    good("served after leaving", "an unregistration without a reply may have failed", "ann settles; leaves -> ?; beats"),
    bad("stranger served", "POLL-UNKNOWN-1", "ann polls"),
    bad("stranger served", "LIVE-BEAT-2", "ann beats"),
    bad("stranger served", "ACK-CONSUMER-1", "ann acks a"),
    good("stranger served", "a registration without a reply may have succeeded", "ann registers -> ?; polls"),
    good("stranger served", "everything is refused", "ann polls -> 404; registers -> 404"),
    bad("name taken twice", "MEMBER-REGISTER-4", "ann settles; registers group=h"),
    good("name taken twice", "the holder may have been evicted", "ann settles; wait 29; registers"),
    good("name taken twice", "the holder may have left", "ann settles; leaves -> ?; registers"),
)
