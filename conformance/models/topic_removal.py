"""Removal of topics: TOPIC-REMOVE-1 to TOPIC-REMOVE-7, and TOPIC-REMOVE-11 (extension topic-removal).

Condition: the removal of a known topic succeeds. From then on no record of it is delivered, an acknowledgement of one
that was in flight is refused, and its name is unknown until it is added again; then no group has committed anything
of it, and nobody is subscribed. Other topics are as before.

No false alarm: every text is unique, so an old record is known by it; an id counts as void only until a new record has
it in flight; a removal may start a rebalance in the groups that read the topic.
"""

from typing import TYPE_CHECKING

from conformance.models.consumer_registry import OperationReply, judge_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import TimeInterval
    from conformance.models.topics import TopicModel


class RemovedTopics:
    """Judge of removals, and memory of what was removed.

    `texts`: topic and text of each record that was removed. `names`: the names of all topics ever removed.
    """

    def __init__(
        self, judge: "Judge", topics: "dict[str, TopicModel]", groups: "Mapping[str, GroupModel]"
    ) -> None:
        self._judge = judge
        self._topics = topics
        self._groups = groups
        self.texts: set[tuple[str, str]] = set()
        self.names: set[str] = set()

    def observe(self, name: str, reply: OperationReply, when: "Mapping[str, TimeInterval]") -> None:
        """Judge the reply to remove-topic; `when` is its interval in the time of each group, by name."""
        topic = self._topics.pop(name, None)
        if topic is None:
            judge_refusal(self._judge, ("TOPIC-REMOVE-3", "TOPIC-REMOVE-4"), 404, reply, "no such topic")
            return
        self._judge(
            "TOPIC-REMOVE-1", reply.status == 202, expected="remove-topic: status 202", observed=reply
        )
        self.names.add(name)
        self.texts.update((name, text) for text in topic.by_text)
        for group in self._groups.values():
            cursor = group.cursors.pop(name, None)
            if cursor is None:
                continue
            group.refresh(when[group.name])
            for flight in cursor.in_flight.values():
                if (holder := group.members.get(flight.consumer)) is not None:
                    holder.void_ids.add(flight.message_id)
            readers = {member.name for member in group.members.values() if name in member.topics}
            for other in group.cursors.values():
                for number, flight in other.in_flight.items():
                    if flight.consumer in readers:
                        # An earlier suspicion of a record that no poll has cleared stays: its operation came first.
                        other.suspects.setdefault(number, "TOPIC-REMOVE-6")
            for member in group.members.values():
                member.topics.discard(name)
                member.unsubscribed_topics.discard(name)
                member.refused_topics.discard(name)
            group.trigger(when[group.name])
