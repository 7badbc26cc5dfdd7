"""One bound for all octets that a server keeps, whatever they belong to, and the shares that add up to it."""

from contextlib import AbstractContextManager, nullcontext


class Budget:
    """Octets in use, of those that may be. Threads that share one give it a reentrant lock."""

    def __init__(self, bound: int, lock: AbstractContextManager[object] | None = None) -> None:
        self.bound = bound
        self.used = 0
        self._lock = lock or nullcontext()

    def add(self, octets: int) -> None:
        """Count octets that are kept from now on, or, if negative, no more."""
        with self._lock:
            self.used += octets

    def has_room(self, octets: int = 0) -> bool:
        """Return whether so many more may be kept."""
        return self.used + octets <= self.bound


class Charge:
    """A share of a budget. It is given back when the last reference to it is gone, with the object that holds it."""

    __slots__ = ("budget", "octets")

    def __init__(self, budget: Budget, octets: int = 0) -> None:
        self.budget = budget
        self.octets = octets
        budget.add(octets)

    def set(self, octets: int) -> None:
        """Change the share."""
        if octets != self.octets:
            self.budget.add(octets - self.octets)
            self.octets = octets

    def __del__(self) -> None:
        if self.octets:
            self.budget.add(-self.octets)
