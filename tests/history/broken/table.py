"""The fault that shows each anomaly, and histories of queues that have it."""

from dataclasses import replace

from conformance.history.events import History
from conformance.history.server_parameters import ServerParameters
from conformance.history.workload.workload_state import WorkloadPlan
from tests.history.broken.acknowledging import (
    AcceptsWhatWasGivenBack,
    CommitsFarBack,
    CommitsForTheEvicted,
    CommitsWhatItRefuses,
    RefusesAHolder,
    RepliesTwice,
    TakesAnyAcknowledgement,
)
from tests.history.broken.delivering import ChangesKeys, HandsOutTheNext, RevokesInSilence
from tests.history.broken.membership import (
    ForgetsWhoWasEvicted,
    GivesAllToOne,
    LeavesAPartitionAlone,
    LetsTwoOwn,
    MovesUnderTheHolder,
    ServesStrangers,
    ServesWhoHasLeft,
)
from tests.history.broken.storing import (
    LeavesAnOffsetOut,
    MovesAKey,
    StoresInFront,
    StoresTwice,
    StoresWhatItRefuses,
    TellsOneOffsetTwice,
)
from tests.history.broken.telling import (
    TellsBoth,
    TellsOneSpelling,
    TellsOthers,
    TellsTheOpposite,
    TellsTwice,
)
from tests.history.legal import parameters_of
from tests.history.simulation import Simulation
from tests.models.broken import delivery, membership, publishing
from tests.models.toy_queue import Choices, ToyQueue

Broken = type[ToyQueue] | type[Simulation]

#: The fault that shows each anomaly.
SHOWN_BY: dict[str, Broken] = {
    "lost": delivery.LosesARecord,
    "started late": delivery.StartsNewGroupsAtTheEnd,
    "unseen": delivery.StartsNewGroupsAtTheEnd,
    "stale": delivery.AnswersEveryFifthPollEmpty,
    "phantom": StoresWhatItRefuses,
    "changed": ChangesKeys,
    "duplicate": RevokesInSilence,
    "redelivery after acknowledgement": delivery.CommitsAnOffsetBack,
    "commit went back": CommitsFarBack,
    "stored twice": StoresTwice,
    "mismarked redelivery": delivery.CallsNothingRedelivered,
    "id in use": delivery.ReusesMessageIds,
    "not delivered again": delivery.LosesWhatUnsubscribersHeld,
    "given back and skipped": delivery.DropsWhatIsGivenBack,
    "poll-skip": delivery.SwapsTwoRecords,
    "key order broken": delivery.SwapsTwoRecords,
    "more than one in flight": HandsOutTheNext,
    "nonmonotonic poll": delivery.ForgetsOffsetsAfterUnsubscribing,
    "nonmonotonic send": StoresInFront,
    "inconsistent offsets": TellsOneOffsetTwice,
    "offset gap": LeavesAnOffsetOut,
    "key moved to another partition": MovesAKey,
    "uneven spread": publishing.SkipsAPartition,
    "two owners at once": LetsTwoOwn,
    "owned by none": LeavesAPartitionAlone,
    "unfair assignment": GivesAllToOne,
    "delivery without subscription": membership.DeliversAllTopics,
    "moved under its holder": MovesUnderTheHolder,
    "evicted early": membership.TakesOnlyHeartbeatsForLife,
    "evicted late": membership.EvictsNobody,
    "delivery to an evicted consumer": ForgetsWhoWasEvicted,
    "served after eviction": ForgetsWhoWasEvicted,
    "served after leaving": ServesWhoHasLeft,
    "stranger served": ServesStrangers,
    "name taken twice": membership.RegistersATakenName,
    "accepted from a non-owner": delivery.AcceptsAnothersAcknowledgement,
    "accepted for nothing": TakesAnyAcknowledgement,
    "accepted twice": RepliesTwice,
    "accepted late": AcceptsWhatWasGivenBack,
    "holder refused": RefusesAHolder,
    "committed by a zombie": CommitsForTheEvicted,
    "committed though refused": CommitsWhatItRefuses,
    "acknowledged twice": TellsTwice,
    "acknowledged and refused": TellsBoth,
    "acknowledged wrongly": TellsTheOpposite,
    "acknowledged to others": TellsOthers,
    "never acknowledged": TellsOneSpelling,
}

#: Anomalies that are shown without positions, so that order is derived from keys.
BLIND = frozenset({"key order broken"})


def broken_history(anomaly: str, seed: int) -> tuple[History, ServerParameters]:
    """A history of a larger run, with many failing consumers, on a queue that has the fault."""
    broken = SHOWN_BY[anomaly]
    choices = Choices(
        seed=seed,
        partitions=4,
        rebalance_timeout=20.0,
        tells_positions=anomaly not in BLIND,
        evict="anywhere",
    )
    plan = WorkloadPlan(
        seed=seed, records=80, consumers=5, keys=4, chance_of_trouble=0.25, chance_of_leaving=0.05
    )
    if anomaly == "uneven spread":
        plan = replace(plan, producers=1, keys=0)
    if anomaly in ("stale", "unseen"):
        plan = replace(plan, consumers=1)
    parameters = replace(parameters_of(choices), positions=choices.tells_positions)
    if issubclass(broken, Simulation):
        return broken(ToyQueue(choices), plan, parameters, virtual=True, longest=3.0).run(), parameters
    return Simulation(broken(choices), plan, parameters, virtual=True, longest=3.0).run(), parameters
