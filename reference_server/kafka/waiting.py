"""Long polls of this node, and the passing of time where nobody asks."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

import msgspec

from reference_server.kafka import commands as c
from reference_server.kafka.cluster import Cluster
from reference_server.kafka.groups import GroupOperations
from reference_server.kafka.log import OutcomeUnknown, Unavailable, unavailable
from reference_server.kafka.replica import Replica
from reference_server.kafka.shard import Free, Shard
from reference_server.queue.outcomes import NOTHING, Outcome, refused
from reference_server.queue.refusal import Refusal

_WORKERS = 4
_LOOK = 0.05
"""Seconds between two looks for records that other nodes stored."""
_SOON = 0.02
"""Seconds by which a tick comes after what is due."""
_SIGNS = 3
"""Signs of life of a consumer that waits, per heartbeat timeout."""
_UNUSED = 120.0
"""Seconds after which a shard that nobody asks about is no longer followed."""


class Parked(msgspec.Struct, eq=False):
    """A poll that waits, until `deadline`; both times are monotonic seconds."""

    waiter: Hashable
    name: str
    limit: int
    deadline: float
    next_sign: float
    shard: Replica[Shard]
    is_over: bool = False


class Waiting:
    """The polls that wait on this node. `answer` is called, in a thread of its own, with waiter and outcome.

    The outcome is None where it can't be known: the client's connection has to end.
    """

    def __init__(
        self, cluster: Cluster, groups: GroupOperations, answer: Callable[[Hashable, Outcome | None], None]
    ) -> None:
        self._cluster = cluster
        self._groups = groups
        self._answer = answer
        self._by_name: dict[str, list[Parked]] = {}
        self._by_waiter: dict[Hashable, Parked] = {}
        self._due: deque[str] = deque()
        self._busy: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._ticked: dict[Replica[Shard], float] = {}
        self._releases: deque[tuple[str, int]] = deque()
        self._touches: deque[tuple[Replica[Shard], str]] = deque()
        self._is_early = False
        """True if the next thing to do may be due before the time for which the thread of time waits."""
        cluster.watch = self._watch
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(_WORKERS)]
        self._threads += [
            threading.Thread(target=each, daemon=True) for each in (self._pass_time, self._look)
        ]

    def start(self) -> None:
        """Work from now on, in threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; polls that wait get no answer."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=2)

    # Parking

    def park(self, waiter: Hashable, name: str, limit: int, seconds: float) -> None:
        """Let a poll wait that found nothing. Raises Unavailable, Refusal."""
        shard = self._cluster.shard(self._groups.group_of(name))
        now = time.monotonic()
        parked = Parked(waiter, name, limit, now + seconds, now + self._interval, shard)
        with self._changed:
            self._by_waiter[waiter] = parked
            self._by_name.setdefault(name, []).append(parked)
        self._hurry()
        with shard.lock:
            self._check(shard, [name])

    @property
    def _interval(self) -> float:
        return self._cluster.settings.heartbeat_timeout / _SIGNS

    def cancel(self, waiter: Hashable) -> None:
        """End a poll without an answer; its consumer's silence begins now (POLL-WAIT-5)."""
        parked = self._remove(waiter)
        if parked is not None:
            self._touches.append((parked.shard, parked.name))
            self._hurry()

    def _hurry(self) -> None:
        with self._changed:
            self._is_early = True
            self._changed.notify_all()

    def _remove(self, waiter: Hashable) -> Parked | None:
        with self._changed:
            parked = self._by_waiter.pop(waiter, None)
            if parked is not None:
                parked.is_over = True
                same = self._by_name[parked.name]
                same.remove(parked)
                if not same:
                    del self._by_name[parked.name]
            return parked

    # Waking

    def _watch(self, shard: Replica[Shard]) -> None:
        shard.after = lambda command, is_own: self._applied(shard, command, is_own)

    def _applied(self, shard: Replica[Shard], command: c.Command, is_own: bool) -> None:
        machine = shard.machine
        freed, machine.broker.freed = machine.broker.freed, []
        if is_own:
            for name, claim in freed:
                self._releases.append((name, claim))
        stranded, machine.broker.stranded = machine.broker.stranded, []
        for name in stranded:
            waiting = list(self._by_name.get(name, ()))
            for parked in waiting:
                parked.deadline = 0.0  # TOPIC-REMOVE-9
            if waiting:
                self._wake(name)
        if self._by_name and not isinstance(command, c.Touch):
            self._check(shard, list(self._by_name))
        if self._releases:
            self._hurry()

    def _check(self, shard: Replica[Shard], names: list[str]) -> None:
        """Have polls answered whose consumer may have a record, or is gone; the lock of the shard is held."""
        machine = shard.machine
        for name in names:
            parked = next(iter(self._by_name.get(name, ())), None)
            if parked is None or parked.shard is not shard:
                continue
            consumer = machine.broker.consumers.get(name)
            if consumer is None or self._groups.is_ready(consumer, machine):
                self._wake(name)

    def _wake(self, name: str) -> None:
        with self._changed:
            if name not in self._due:
                self._due.append(name)
                self._changed.notify_all()

    def stored(self, serials: set[int]) -> None:
        """Look at the polls that wait, since records of these topics were stored."""
        if not self._by_name:
            return
        for shard in {each.shard for each in list(self._by_waiter.values())}:
            machine = shard.machine
            if any(serial in machine.by_serial for serial in serials):
                with shard.lock:
                    self._check(shard, list(self._by_name))

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or any(n not in self._busy for n in self._due))
                if self._stopping:
                    return
                name = next(each for each in self._due if each not in self._busy)
                self._due.remove(name)
                self._busy.add(name)
            try:
                self._poll_for(name)
            finally:
                with self._changed:
                    self._busy.discard(name)
                    self._changed.notify_all()

    def _poll_for(self, name: str) -> None:
        """Poll for the waiters of a consumer, in order of their arrival, until one gets nothing; end the overdue."""
        while True:
            with self._changed:
                waiting = self._by_name.get(name)
                if not waiting:
                    return
                parked = waiting[0]
            outcome: Outcome | None
            try:
                outcome = self._groups.poll(name, parked.limit)
            except Refusal as refusal:
                outcome = refused(refusal)
            except Unavailable as error:
                # A poll waits as long as it may for Kafka, too.
                if time.monotonic() < parked.deadline:
                    return
                outcome = unavailable(error)
            except OutcomeUnknown:
                outcome = None
            if outcome is not NOTHING:
                self._end(parked, outcome)
                continue
            now = time.monotonic()
            for each in waiting[:]:
                if now >= each.deadline:
                    self._end(each, NOTHING)
            return

    def _end(self, parked: Parked, outcome: Outcome | None) -> None:
        if self._remove(parked.waiter) is not None:
            self._answer(parked.waiter, outcome)

    # Time

    def _pass_time(self) -> None:
        """Append ticks where something is due, and signs of life of those who wait; end waits that are over."""
        while True:
            seconds = max(0.001, min(0.25, self._next() - time.monotonic()))
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._is_early, seconds)
                self._is_early = False
                if self._stopping:
                    return
            while self._releases:
                self._cluster.release(*self._releases.popleft())
            while self._touches:
                shard, name = self._touches.popleft()
                self._submit(shard, c.Touch(name))
            now = time.monotonic()
            for parked in list(self._by_waiter.values()):
                if now >= parked.deadline:
                    self._wake(parked.name)
                if now >= parked.next_sign:
                    parked.next_sign = now + self._interval
                    self._submit(parked.shard, c.Touch(parked.name))
            for shard in self._cluster.followed():
                self._tick(shard, now)

    def _next(self) -> float:
        times = [min(each.deadline, each.next_sign) for each in list(self._by_waiter.values())]
        times += [self._due_at(shard) for shard in self._cluster.followed()]
        return min(times, default=1e12)

    def _due_at(self, shard: Replica[Shard]) -> float:
        """The monotonic time at which something of a shard is due by Kafka's clock."""
        machine = shard.machine
        with shard.lock:
            left = machine.broker.next_deadline() - shard.estimated_now()
        return max(time.monotonic() + left + _SOON, self._ticked.get(shard, 0.0))

    def _tick(self, shard: Replica[Shard], now: float) -> None:
        if self._due_at(shard) <= now:
            self._ticked[shard] = now + 0.05
            self._submit(shard, c.Tick())
        elif now - shard.used > _UNUSED and not any(p.shard is shard for p in list(self._by_waiter.values())):
            self._cluster.unfollow(shard)
            self._ticked.pop(shard, None)

    def _submit(self, shard: Replica[Shard], command: c.Command) -> None:
        if not self._cluster.log.is_failing(shard.place):
            with contextlib.suppress(Unavailable):
                shard.submit(command)

    # Records of other nodes

    def _look(self) -> None:
        """Ask for the ends of partitions of which polls wait for a record."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._by_waiter)
                self._changed.wait_for(lambda: self._stopping, _LOOK)
                if self._stopping:
                    return
                waiting = list(self._by_waiter.values())
            free: dict[tuple[int, int], Free] = {}
            for name, shard in {(each.name, each.shard) for each in waiting}:
                for each in self._groups.free_of(shard, name):
                    free[each.topic.serial, each.partition] = each
            before = {key: self._cluster.ends.get(key, 0) for key in free}
            with contextlib.suppress(Unavailable):
                self._cluster.ask_ends((each.topic, each.partition) for each in free.values())
            changed = {key[0] for key, end in before.items() if self._cluster.ends.get(key, 0) > end}
            if changed:
                self.stored(changed)
