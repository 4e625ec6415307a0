"""A crowd reads its pieces' streams: nobody waits for a connection, and nobody gets another's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
import redis

from deploy.local.ports import HOST, find_spare_port
from mynah.errors import BrokerUnavailable
from mynah.messaging.live import (
    MOST_FIRST_WAITS,
    MOST_WAITS,
    START,
    LiveBlock,
    LiveReader,
    LiveWriter,
)
from mynah.settings import Settings
from tests.integration.live_speech.conftest import Stage
from tests.parts import wait_for

READERS = MOST_FIRST_WAITS + 30
BLOCKS = 12


@contextmanager
def opened(settings: Settings) -> Iterator[LiveReader]:
    reader = LiveReader(settings)
    yield reader
    reader.close()


def hear_all(reader: LiveReader, step_id: UUID) -> list[bytes]:
    """The blocks of a piece until its end."""
    heard: list[LiveBlock] = []
    while not (heard and heard[-1].is_end):
        heard += reader.read(step_id, heard[-1].id if heard else START, 1.0)
    return [block.pcm for block in heard[:-1]]


def in_a_crowd(work: Callable[[int], object]) -> list[object]:
    """Do something in as many threads as there are readers, all at once."""
    together = threading.Barrier(READERS)

    def begin(number: int) -> object:
        together.wait()
        return work(number)

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(begin, range(READERS)))


def test_each_of_many_readers_gets_all_blocks_of_its_own_piece_in_order(stage: Stage) -> None:
    settings = Settings(redis_url=stage.redis.url())
    steps = [uuid4() for _ in range(READERS)]
    writer, job_id = LiveWriter(settings), uuid4()
    said = [[f"{reader} {block}".encode() for block in range(BLOCKS)] for reader in range(READERS)]

    def speak() -> None:
        for number in range(BLOCKS + 1):
            for step_id, blocks in zip(steps, said, strict=True):
                is_end = number == BLOCKS
                pcm = b"" if is_end else blocks[number]
                writer.write(job_id, step_id, LiveBlock(1, number, pcm, is_end=is_end))

    with opened(settings) as reader:
        speaking = threading.Thread(target=speak)
        speaking.start()
        assert in_a_crowd(lambda number: hear_all(reader, steps[number])) == said
        speaking.join()
        reader.leave(job_id, steps)
    writer.close()


def test_many_who_wait_take_few_connections(stage: Stage) -> None:
    settings = Settings(redis_url=f"{stage.redis.url()}?client_name=crowd")
    over, counts = threading.Event(), [0]

    def count(client: redis.Redis) -> None:
        while not over.wait(0.02):
            counts.append(sum(one["name"] == "crowd" for one in client.client_list()))

    with opened(settings) as reader, stage.redis.client() as client:
        counting = threading.Thread(target=count, args=(client,))
        counting.start()
        assert in_a_crowd(lambda _: reader.read(uuid4(), "1-1", 0.3)) == [[]] * READERS
        over.set()
        counting.join()
    assert MOST_WAITS < max(counts) <= MOST_WAITS + 2  # and that of the thread that asks for all


def test_all_of_a_crowd_hear_that_redis_is_away() -> None:
    settings = Settings(redis_url=f"redis://{HOST}:{find_spare_port()}/0")

    def read(reader: LiveReader) -> None:
        with pytest.raises(BrokerUnavailable):
            reader.read(uuid4(), START, 5.0)

    with opened(settings) as reader:
        in_a_crowd(lambda _: read(reader))


def test_the_thread_that_reads_for_a_crowd_ends_with_it(stage: Stage) -> None:
    def is_there() -> bool:
        return any(thread.name == "stream-poller" for thread in threading.enumerate())

    with opened(Settings(redis_url=stage.redis.url())) as reader:
        in_a_crowd(lambda _: reader.read(uuid4(), START, 0.1))
        wait_for(lambda: not is_there(), 10, "the thread is gone")
