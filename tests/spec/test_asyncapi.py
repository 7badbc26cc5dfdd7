"""`asyncapi.yaml`: its references resolve, and it agrees with the table of operations."""

import json

from conformance.specification.clauses import EXTENSIONS
from tests.spec.documents import ROOT, operations, pointed_to, read_yaml, references

DOCUMENT = read_yaml("asyncapi.yaml")
REPLIES = "/user/queue/replies"
ACKNOWLEDGEMENTS = {"/topic/acknowledgment/{topic}", "/topic/acknowledgement/{topic}"}
ENDPOINTS = {"/stomp", "/producer", "/consumer"}


def test_its_references_lead_somewhere() -> None:
    """Each reference names a part of the document or a schema beside it."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for ref in references(DOCUMENT):
        if ref.startswith("#"):
            assert pointed_to(DOCUMENT, ref), ref
        else:
            assert json.loads((ROOT / ref).read_text("utf-8")), ref


def test_its_channels_are_those_of_the_table() -> None:
    """The channels are the operations, the replies, and both spellings of acknowledgements."""
    addresses = [channel["address"] for channel in DOCUMENT["channels"].values()]
    assert len(set(addresses)) == len(addresses)
    assert set(addresses) == {row.path for row in operations()} | {REPLIES} | ACKNOWLEDGEMENTS
    assert {server["pathname"] for server in DOCUMENT["servers"].values()} == ENDPOINTS


def test_every_operation_is_received_and_answered() -> None:
    """The server receives operations, replies on the queue of replies, and sends acknowledgements."""
    received = {}
    for operation in DOCUMENT["operations"].values():
        address = pointed_to(DOCUMENT, operation["channel"]["$ref"])["address"]
        if operation["action"] == "send":
            assert address in ACKNOWLEDGEMENTS
            continue
        received[address] = operation
        assert pointed_to(DOCUMENT, operation["reply"]["channel"]["$ref"])["address"] == REPLIES
        assert any(message["$ref"].endswith("/problem") for message in operation["reply"]["messages"])
    assert set(received) == {row.path for row in operations()}


def test_it_has_the_bodies_of_openapi() -> None:
    """One request has one schema in both bindings."""
    paths = read_yaml("openapi.yaml")["paths"]
    for channel in DOCUMENT["channels"].values():
        if "request" in channel["messages"]:
            message = pointed_to(DOCUMENT, channel["messages"]["request"]["$ref"])
            body = paths[channel["address"]]["post"]["requestBody"]["content"]["application/json"]["schema"]
            assert message["payload"]["schema"] == body, channel["address"]


def test_its_extensions_are_known() -> None:
    """`x-extension` names only known extensions."""
    marked = {channel.get("x-extension") for channel in DOCUMENT["channels"].values()} - {None}
    assert marked <= set(EXTENSIONS)
