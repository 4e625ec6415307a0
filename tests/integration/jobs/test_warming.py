"""Processes that have warmed up ask nothing for the first time, and have changed nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from mynah.db.ids import new_id
from mynah.db.models import Job, ServedShare, Usage
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.db.warming import warm_connections
from mynah.jobs.worker import build_worker_context
from mynah.messaging.live import LiveWriter
from mynah.settings import Settings
from services.api import warming as gateway_warming
from services.worker_tts.engine_host import EngineHost
from services.worker_tts.profile_cache import ProfileCache
from services.worker_tts.synthesis import Speaker
from services.worker_tts.warming import warm_up
from tests.factories import Database, add_job, add_user, close_engine
from tests.integration.api.gateway import open_gateway

NOWHERE = "redis://127.0.0.1:1/0"
_PLANNED = text(
    "SELECT count(*) FROM pg_prepared_statements WHERE generic_plans > 0 AND statement LIKE :part"
)


def planned(new_uow: UnitOfWorkFactory, part: str) -> int:
    """How many statements with ``part`` in them the connection used last has a plan of."""
    with new_uow() as uow:
        return int(uow.each_by_itself().session.scalar(_PLANNED, {"part": f"%{part}%"}) or 0)


def test_every_warm_connection_has_its_plans(database: Database) -> None:
    warm_connections(database.new_uow, 2, lambda uow: uow.voices.visible(new_id(), new_id()))
    with database.new_uow() as uow:  # holds one of the two
        uow.each_by_itself()
        assert planned(database.new_uow, "FROM voices") == 1
    assert planned(database.new_uow, "FROM voices") == 1


def test_a_speech_process_that_is_warm_has_planned_its_claims_and_taken_none(
    database: Database, fresh_database: str, tmp_path: Path
) -> None:
    add_job(database, add_user(database.new_uow), pieces=2)
    settings = Settings(database_url=fresh_database, redis_url=NOWHERE, storage_dir=tmp_path)
    worker = build_worker_context(settings)
    live = LiveWriter(settings)
    warm_up(Speaker(worker, EngineHost(), ProfileCache(1, 1), live=live))  # Redis may be away
    assert planned(worker.new_uow, "WITH RECURSIVE hint") == 1
    assert planned(worker.new_uow, "FROM voices") == 1
    with worker.new_uow() as uow:
        assert uow.session.query(ServedShare).count() == 0
        close_engine(uow.session.get_bind())  # type: ignore[arg-type]
    live.close()
    worker.broker.close()


@pytest.mark.parametrize(("is_redis_away", "pool_size"), [(True, 10), (False, 10), (False, 1)])
def test_a_gateway_process_that_is_warm_has_planned_its_orders_and_placed_none(
    fresh_database: str, redis_url: str, tmp_path: Path, *, is_redis_away: bool, pool_size: int
) -> None:
    redis = NOWHERE if is_redis_away else redis_url
    with open_gateway(fresh_database, redis, tmp_path, database_pool_size=pool_size) as api:
        with capture_logs() as logs:
            gateway_warming.warm_up(api.container)
        assert [entry["event"] for entry in logs] == ["not_warmed_up"] * is_redis_away
        new_uow = api.container.new_uow
        assert planned(new_uow, "WITH charged") == 1
        with new_uow() as uow:
            assert uow.session.query(Job).count() == 0
            assert uow.session.query(Usage).count() == 0
