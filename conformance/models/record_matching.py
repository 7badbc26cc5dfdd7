"""The published record that a delivered item stands for: POLL-OK-1, POLL-OK-2, POLL-NONE-1, DELIVER-4, PUB-TEXT-1.

Condition: every delivered item has the members that POLL-OK-1 requires, the text, topic and key of an accepted
publish, a topic that the consumer is subscribed to, and a `messageId` from 0 to 2⁶³ - 1 that no other record in
flight has.

No false alarm: every published text is unique, so it identifies its record; topics are known by the replies to this
consumer's own operations; an id counts as taken only by a record that must still be in flight.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.models.topics import non_negative_integer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from conformance.models.cursors import Cursor
    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import Member, TimeInterval
    from conformance.models.topics import Record, TopicModel


class MatchedRecord(NamedTuple):
    """A delivered record: `item` is the decoded item of the reply, `when` the interval of the poll in the group's
    time.
    """

    member: "Member"
    group: "GroupModel"
    cursor: "Cursor"
    record: "Record"
    message_id: int
    item: dict[str, Any]
    when: "TimeInterval"


class RecordMatcher:
    """Matches items of replies to polls with published records."""

    def __init__(
        self,
        judge: "Judge",
        topics: "Mapping[str, TopicModel]",
        groups: "Mapping[str, GroupModel]",
        removed_texts: "Collection[tuple[str, str]]",
    ) -> None:
        """`removed_texts`: topic and text of each record that went with its topic."""
        self._judge = judge
        self._topics = topics
        self._groups = groups
        self._removed_texts = removed_texts

    def match(self, member: "Member", group: "GroupModel", item: Any, when: "TimeInterval") -> MatchedRecord:
        """Judge an item (POLL-OK-1, POLL-OK-2, DELIVER-4, POLL-NONE-1, PUB-TEXT-1) and return its record."""
        empty = not isinstance(item, dict) or item.get("messageId") is None
        self._judge(
            "POLL-EMPTY-1" if empty else "POLL-OK-1",
            _is_shaped(item),
            expected="200 with messageId and message {message, key, topicName, timestamp}, or another status",
            observed=item,
        )
        message = item["message"]
        topic = self._topics.get(message["topicName"])
        record = topic.by_text.get(message["message"]) if topic is not None else None
        published = "a record that was published and accepted"
        is_removed = (message["topicName"], message["message"]) in self._removed_texts
        clause = "TOPIC-REMOVE-5" if is_removed else "DELIVER-4"
        self._judge(clause, record is not None, expected=published, observed=item)
        if topic is None or record is None:
            raise AssertionError("a failed MUST raises")
        subscribed, clause = topic.name in member.topics, "POLL-NONE-1"
        if not subscribed and topic.name in member.refused_topics:
            clause = "MEMBER-SUBSCRIBE-2"
        elif not subscribed and topic.name in member.unsubscribed_topics:
            clause = "MEMBER-UNSUBSCRIBE-1"
        elif not subscribed and topic.was_removed_before:
            clause = "TOPIC-REMOVE-11"
        self._judge(
            clause,
            subscribed,
            expected="only records of topics that the consumer is subscribed to",
            observed=item,
        )
        delivery = MatchedRecord(
            member, group, group.cursors[topic.name], record, item["messageId"], item, when
        )
        self._judge_content(delivery)
        self._judge_id(delivery)
        return delivery

    def _judge_content(self, delivery: MatchedRecord) -> None:
        """PUB-TEXT-1, and PUB-POSITION-1 if the server states positions."""
        record, item = delivery.record, delivery.item
        key = item["message"]["key"]
        self._judge(
            "PUB-TEXT-1",
            (key or None) == record.key,
            expected=f"key {record.key!r} as published" if key else "the key as published",
            observed=item,
        )
        topic = delivery.cursor.topic
        known = {"partition": topic.partition_classes.number(record.node), "offset": record.offset}
        told = {name: item[name] for name in known if name in item}
        if topic.positions and record.offset is not None and told:
            self._judge(
                "PUB-POSITION-1",
                all(non_negative_integer(number) == known[name] for name, number in told.items()),
                expected=f"{known}, as told when it was published, where it is told again",
                observed=item,
            )

    def _judge_id(self, delivery: MatchedRecord) -> None:
        """POLL-OK-2: an integer of 63 bits that no other record in flight has as its id."""
        self._judge(
            "POLL-OK-2",
            non_negative_integer(delivery.message_id) is not None and delivery.message_id < 2**63,
            expected="a messageId that is an integer from 0 to 2⁶³ - 1",
            observed=delivery.item,
        )
        for group in self._groups.values():
            for cursor in group.cursors.values():
                for flight in cursor.in_flight.values():
                    if flight.message_id == delivery.message_id and flight.record is not delivery.record:
                        self._judge(
                            "POLL-OK-2",
                            not group.must_be_in_flight(flight, delivery.when),
                            expected="a messageId that no other record in flight has",
                            observed=f"{delivery.item}; under this id in flight: {flight.record}",
                        )
        self._judge("POLL-OK-2", True, expected="an id of its own", observed="an id of its own")


def _is_shaped(item: Any) -> bool:
    """True if the item has the members that POLL-OK-1 requires."""
    if not isinstance(item, dict):
        return False
    message = item.get("message")
    return (
        item.get("messageId") is not None
        and isinstance(message, dict)
        and isinstance(message.get("message"), str)
        and isinstance(message.get("topicName"), str)
        and isinstance(message.get("key", 0), str | None)
        and "timestamp" in message
    )
