"""Forms of one operation that mean the same: a batch or a single record, an id as text, two spellings of a path.

A program alternates among them, so that a fault of one form, or of one form after another, shows in every state that
a machine reaches.
"""

import random

from hypothesis import strategies as st

#: Paths of operations that have another spelling (PUB-ALIAS-1, TOPIC-ALIAS-1).
PUBLISH, PUBLISH_ALIAS = "/producer/publish/", "/publish/"
ADD_TOPIC, ADD_TOPIC_ALIAS = "/topic/add-topic", "/addTopic"

#: Seeds of the forms of a program. Without one, or with 0, each operation has always the same form.
FORM_SEEDS = st.integers(1, 999)
#: Sizes of a poll: None for a single record.
_SIZES = (None, None, None, 1, 2, 5)


class RequestForms:
    """Forms of the operations of one program, chosen by a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._random = random.Random(seed)

    def batch_size(self) -> int | None:
        """Size of the batch that the next poll asks for; None for a single record."""
        return self._random.choice(_SIZES) if self._seed else None

    def id_of(self, message_id: int | str) -> int | str:
        """Id of a record in flight, as a number or as a string of digits (ACK-OK-2)."""
        return str(message_id) if self._seed and self._random.random() < 1 / 3 else message_id

    def publish_path(self, number: int) -> str:
        """Path, without the topic, by which the record of this number is published, in each run of the program."""
        return PUBLISH_ALIAS if self._is_other(f"record {number}") else PUBLISH

    def add_topic_path(self, number: int) -> str:
        """Path by which the topic of this number is added, in each run of the program."""
        return ADD_TOPIC_ALIAS if self._is_other(f"topic {number}") else ADD_TOPIC

    def _is_other(self, what: str) -> bool:
        return bool(self._seed) and random.Random(f"{self._seed} {what}").random() < 1 / 2
