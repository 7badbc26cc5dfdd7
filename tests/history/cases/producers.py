"""Stories about producer acknowledgements."""

from tests.history.cases.base import bad, good

# ruff: noqa: E501 - a table: one line per story
# fmt: off
CASES = (
    bad("acknowledged twice", "PUB-ACK-4", "listen; send a@0.0; ACK a; ACK a"),
    good("acknowledged twice", "two publishes have one label", "listen; send a@0.0 label=same; send b@1.0 label=same; ACK same; ACK same"),
    good("acknowledged twice", "each subscription gets its own acknowledgement", "listen; listen on=m; send a@0.0; ACK a; ACK a on=m"),
    bad("acknowledged and refused", "PUB-ACK-4", "listen; send a -> ?; ACK a; FAILED a"),
    good("acknowledged and refused", "two publishes have one label", "listen; send a@0.0 label=same; send b label=same -> 507; ACK same; FAILED same"),
    bad("acknowledged wrongly", "PUB-ACK-5", "listen; send a -> 400; ACK a"),
    bad("acknowledged wrongly", "PUB-ACK-3", "listen; send a@0.0; FAILED a"),
    good("acknowledged wrongly", "publishes without a reply may have either outcome", "listen; send a -> ?; send b -> ?; FAILED a; ACK b"),
    bad("acknowledged to others", "PUB-ACK-7", "listen topic=u; send a@0.0; ACK a"),
    bad("acknowledged to others", "PUB-ACK-7", "listen; ACK a; send a@0.0"),
    good("acknowledged to others", "the acknowledgement may arrive before the reply", "listen; send a@0.0 [5-9]; at 5; ACK a"),
    bad("never acknowledged", "PUB-ACK-1", "listen; send a@0.0; fence"),
    good("never acknowledged", "the publish came before the subscription", "send a@0.0; listen; fence"),
    good("never acknowledged", "a publish without a reply may not have been stored", "listen; send a -> ?; fence"),
    good("never acknowledged", "the acknowledgement may still be on its way", "listen; send a@0.0"),
)
