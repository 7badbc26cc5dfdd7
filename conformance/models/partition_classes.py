"""Records of one topic that share a partition, and records that do not.

The text requires equal keys to share a partition, and leaves open which. A *node* stands for records known to share a
partition. Two nodes may later prove to be one partition, or two different ones. With extension record-position a node
has its partition's number, and all is known. Without it deliveries tell: two records in flight in one group at the
same time, or delivered out of order, lie in different partitions (ORDER-1, ORDER-2).

Condition: with P partitions, the nodes can be coloured with P colours so that different partitions have different
colours.

No false alarm: nodes are merged and separated only by equal keys, the server's positions, or deliveries that ORDER-1
and ORDER-2 allow for different partitions only; a colouring that is not found within a bounded search counts as
possible.
"""

_SEARCH_STEPS = 5_000


class PartitionClasses:
    """Nodes of one topic, with the pairs known equal and the pairs known different.

    `partitions`: the topic's number of partitions, None if unknown.
    """

    def __init__(self, partitions: int | None) -> None:
        self.partitions = partitions
        self._parent: list[int] = []
        self._number: list[int | None] = []
        self._unlike: list[set[int]] = []
        self._of_key: dict[str, int] = {}
        self._of_number: dict[int, int] = {}

    def _new(self, number: int | None = None) -> int:
        node = len(self._parent)
        self._parent.append(node)
        self._number.append(number)
        self._unlike.append(set())
        return node

    def find(self, node: int) -> int:
        """Return the node that represents this one and all nodes known to be the same partition."""
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def number(self, node: int) -> int | None:
        """Return the partition's number, or None if no reply stated it."""
        return self._number[self.find(node)]

    def node_of_key(self, key: str | None) -> int:
        """Return the node of records with this key; a new node for each record without one."""
        if not key:
            return self._new()
        node = self._of_key.get(key)
        if node is None:
            node = self._of_key[key] = self._new()
        return node

    def node_of_number(self, number: int) -> int:
        """Return the node of partition `number`."""
        node = self._of_number.get(number)
        if node is None:
            node = self._of_number[number] = self._new(number)
        return node

    def knows_key(self, key: str) -> bool:
        """True if a record with this key was published before."""
        return key in self._of_key

    def same(self, a: int, b: int) -> bool:
        """True if two nodes are known to be one partition."""
        return a == b or self.find(a) == self.find(b)

    def differ(self, a: int, b: int) -> bool:
        """True if two nodes are known to be different partitions."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return False
        first, second = self._number[a], self._number[b]
        if first is not None and second is not None:
            return first != second
        return b in self._unlike[a]

    def merge(self, a: int, b: int) -> bool:
        """Note that two nodes are one partition. Returns False, without effect, if they are known to differ."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return True
        if self.differ(a, b):
            return False
        if self._number[a] is None:
            a, b = b, a
        self._parent[b] = a
        for other in self._unlike[b]:
            self._unlike[other].discard(b)
            self._unlike[other].add(a)
        self._unlike[a] |= self._unlike[b]
        self._unlike[b] = set()
        return True

    def separate(self, a: int, b: int) -> bool:
        """Note that two nodes are different partitions. Returns False, without effect, if they are known to be one."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return False
        if self._number[a] is None or self._number[b] is None:
            self._unlike[a].add(b)
            self._unlike[b].add(a)
        return True

    def is_feasible(self) -> bool:
        """True if the topic's number of partitions allows all differences noted so far.

        This is graph colouring with one colour per partition. Nodes with fewer different neighbours than colours can
        always be coloured last, and are removed first; little is left to search. Returns True if the number of
        partitions is unknown or the search exceeds its bound.
        """
        if self.partitions is None:
            return True
        roots = [n for n, parent in enumerate(self._parent) if parent == n and self._unlike[n]]
        unlike = {n: {m for m in roots if m in self._unlike[n] or self.differ(n, m)} for n in roots}
        while easy := [n for n in unlike if len(unlike[n]) < self.partitions and self._number[n] is None]:
            for node in easy:
                for other in unlike.pop(node):
                    if other in unlike:
                        unlike[other].discard(node)
        return _colourable(unlike, self.partitions, {n: self._number[n] for n in unlike})


def _colourable(unlike: dict[int, set[int]], colours: int, fixed: dict[int, int | None]) -> bool:
    """Search a colouring in a bounded number of steps; True if the bound is reached."""
    colour: dict[int, int] = {n: number for n, number in fixed.items() if number is not None}
    order = sorted((n for n in unlike if n not in colour), key=lambda n: -len(unlike[n]))
    steps = 0

    def place(index: int) -> bool:
        nonlocal steps
        steps += 1
        if index == len(order) or steps > _SEARCH_STEPS:
            return True
        node = order[index]
        taken = {colour[m] for m in unlike[node] if m in colour}
        highest = max(colour.values(), default=-1)
        for candidate in range(min(colours, highest + 2)):
            if candidate not in taken:
                colour[node] = candidate
                if place(index + 1):
                    return True
                del colour[node]
        return False

    return place(0)
