"""A batch piece makes way for live work of its own worker, and for nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from mynah.db.ids import new_id
from mynah.db.models import Job, Step
from mynah.errors import BrokerUnavailable
from mynah.jobs.claims import Claim, MadeWay
from mynah.messaging.sender import Broker
from services.worker_tts.making_way import LiveFirst

BATCH, LIVE, OTHER = "tts.espeak.batch", "tts.espeak.live", "tts.other.live"


@dataclass
class Queues:
    """How much waits, by queue; nothing is known while it is down."""

    depths: dict[str, int] = field(default_factory=dict)
    is_down: bool = False

    def queue_depth(self, queue: str) -> int:
        if self.is_down:
            raise BrokerUnavailable
        return self.depths.get(queue, 0)


def claim_of(queue: str) -> Claim:
    return Claim(Job(id=new_id()), Step(id=new_id(), queue=queue), None, new_id())


def make_way(queues: Queues, claimed: str, served: set[str]) -> None:
    LiveFirst(cast(Broker, queues), lambda: served).make_way(claim_of(claimed))


def test_a_batch_piece_makes_way_when_live_work_waits_for_its_worker() -> None:
    with pytest.raises(MadeWay):
        make_way(Queues({LIVE: 1}), BATCH, {LIVE, BATCH})


@pytest.mark.parametrize(
    ("queues", "claimed", "served"),
    [
        (Queues({LIVE: 1}), LIVE, {LIVE, BATCH}),
        (Queues({LIVE: 1}), BATCH, {BATCH}),
        (Queues({OTHER: 1}), BATCH, {LIVE, BATCH}),
        (Queues({BATCH: 9}), BATCH, {LIVE, BATCH}),
        (Queues({LIVE: 1}, is_down=True), BATCH, {LIVE, BATCH}),
    ],
)
def test_else_it_goes_on(queues: Queues, claimed: str, served: set[str]) -> None:
    make_way(queues, claimed, served)
