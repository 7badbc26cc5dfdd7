"""One bound for all octets that a server keeps, whatever they belong to, and the shares that add up to it."""


class Budget:
    """Octets in use, of those that may be. Any thread may add some: between reading and writing, none gives way."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.used = 0

    def has_room(self, octets: int = 0) -> bool:
        """Return whether so many more may be kept."""
        return self.used + octets <= self.bound


class Charge:
    """A share of a budget. It is given back when the last reference to it is gone, with the object that holds it."""

    __slots__ = ("budget", "octets")

    def __init__(self, budget: Budget, octets: int = 0) -> None:
        self.budget = budget
        self.octets = octets
        budget.used += octets

    def set(self, octets: int) -> None:
        """Change the share."""
        if octets != self.octets:
            self.budget.used += octets - self.octets
            self.octets = octets

    def __del__(self) -> None:
        self.budget.used -= self.octets
