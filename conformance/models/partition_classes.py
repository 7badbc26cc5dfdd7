"""What is known about which records of one topic share a partition.

The text fixes that equal keys share a partition, not which one. A `PartitionClasses` therefore holds *nodes*: each
node stands for records that certainly share a partition. Two nodes can be found to be the same partition,
or found to be different ones. Where the server tells partitions (extension record-position) a node carries
its number, and everything is exact; elsewhere the deliveries tell: two records that are in flight in one
group at the same time, or that overtake each other, lie in different partitions (ORDER-1, ORDER-2).
"""

_SEARCH_STEPS = 5_000


class PartitionClasses:
    """Nodes of one topic with equality and difference.

    `partitions` is the topic's number of them, if known.
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
        """The node that stands for this one and all that were found to be the same partition."""
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def number(self, node: int) -> int | None:
        """The partition's number, where the server told it."""
        return self._number[self.find(node)]

    def node_of_key(self, key: str | None) -> int:
        """The node of records with this key; a new node each time for records without one."""
        if not key:
            return self._new()
        node = self._of_key.get(key)
        if node is None:
            node = self._of_key[key] = self._new()
        return node

    def node_of_number(self, number: int) -> int:
        """The node of partition `number`."""
        node = self._of_number.get(number)
        if node is None:
            node = self._of_number[number] = self._new(number)
        return node

    def knows_key(self, key: str) -> bool:
        """Whether a record with this key was placed before."""
        return key in self._of_key

    def same(self, a: int, b: int) -> bool:
        """Whether two nodes are certainly one partition."""
        return a == b or self.find(a) == self.find(b)

    def differ(self, a: int, b: int) -> bool:
        """Whether two nodes are certainly different partitions."""
        a, b = self.find(a), self.find(b)
        if a == b:
            return False
        first, second = self._number[a], self._number[b]
        if first is not None and second is not None:
            return first != second
        return b in self._unlike[a]

    def merge(self, a: int, b: int) -> bool:
        """Learn that two nodes are one partition.

        False: they are known to be different, nothing is changed.
        """
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
        """Learn that two nodes are different partitions.

        False: they are known to be one, nothing is changed.
        """
        a, b = self.find(a), self.find(b)
        if a == b:
            return False
        if self._number[a] is None or self._number[b] is None:
            self._unlike[a].add(b)
            self._unlike[b].add(a)
        return True

    def is_feasible(self) -> bool:
        """Whether the topic's partitions suffice for all differences learnt so far.

        This is the question whether a graph can be coloured with that many colours. Nodes with fewer
        different neighbours than colours never matter, so what is left to search is tiny. True where the
        number of partitions is unknown, and where the search would take too long: silence is no accusation.
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
    """Minimizer a colouring; bounded, and True when the bound is hit."""
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
