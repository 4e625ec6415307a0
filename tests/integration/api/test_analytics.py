"""Analytics: speech per day with its savings, and what is stored, each to whom it belongs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mynah.contracts.speech import SpeechRequest
from mynah.contracts.states import JobKind, JobState
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job
from mynah.observability.metrics import PROFILE_CACHE
from tests.integration.api.gateway import ADA, NOBODY, Account, Gateway, error_of

MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
MARCH = "from=2026-03-01&to=2026-03-31"
CD_BYTES_PER_S = 176_400
MP3_BYTES_PER_S = 12_000


def add_job(api: Gateway, owner: Account, created_at: datetime, **columns: Any) -> Job:
    """A speech job that was spoken: ten seconds of 96 kbit/s MP3 from 22 050 Hz."""
    values: dict[str, Any] = {
        "kind": JobKind.SPEECH,
        "state": JobState.COMPLETED,
        "characters": 100,
        "actual_duration_s": 10.0,
        "output_size_bytes": 10 * MP3_BYTES_PER_S,
        "quality_score": 0.8,
        "started_at": created_at + timedelta(seconds=2),
        "result": {
            "saved_bytes": 10 * (CD_BYTES_PER_S - MP3_BYTES_PER_S),
            "pcm_bytes": 10 * 44_100,
            "sample_rate": 22050,
            "synthesis_s": 0.5,
        },
        **columns,
    }
    request = SpeechRequest(text="Hello.", voice_id=ADA, language="en-us", engine="espeak")
    job = Job(
        id=new_id(),
        user_id=owner.id,
        request=request.model_dump(mode="json"),
        steps_total=1,
        created_at=created_at,
        **values,
    )
    with api.container.new_uow() as uow:
        uow.jobs.add(job)
        uow.commit()
    return job


def analytics(api: Gateway, caller: Account, query: str = MARCH) -> dict[str, Any]:
    response = api.client.get(f"/api/analytics?{query}", headers=caller.auth)
    assert response.status_code == 200, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def by_date(found: dict[str, Any]) -> dict[str, Any]:
    return {day["date"]: day for day in found["days"]}


def test_the_last_thirty_days_of_somebody_new_are_empty(api: Gateway) -> None:
    owner = api.register()
    before = utc_now().date()
    found = analytics(api, owner, "")
    assert found["to"] in (str(before), str(utc_now().date()))
    assert len(found["days"]) == 30
    assert (found["days"][0]["date"], found["days"][-1]["date"]) == (found["from"], found["to"])
    totals = found["totals"]
    assert totals["jobs"] == dict.fromkeys((state.value for state in JobState), 0)
    assert (totals["audio_s"], totals["output_bytes"], totals["saved_share"]) == (0, 0, None)
    assert totals["queue_wait_s"] == {"p50": None, "p95": None}
    assert found["storage"]["size_bytes"] == 0
    assert found["user_id"] == str(owner.id)


def test_jobs_count_on_their_day_in_utc(api: Gateway) -> None:
    owner = api.register()
    moment = timedelta(microseconds=1)
    for created_at in (MIDNIGHT - moment, MIDNIGHT, MIDNIGHT + timedelta(days=1) - moment):
        add_job(api, owner, created_at)
    days = by_date(analytics(api, owner))
    counts = {day: figures["jobs"]["completed"] for day, figures in days.items()}
    assert {day: count for day, count in counts.items() if count} == {
        "2026-03-09": 1,
        "2026-03-10": 2,
    }
    one = analytics(api, owner, "from=2026-03-10&to=2026-03-10")
    assert [day["jobs"]["completed"] for day in one["days"]] == [2]


def test_a_day_sums_states_characters_audio_bytes_and_savings(api: Gateway) -> None:
    owner = api.register()
    unspoken = {"actual_duration_s": None, "output_size_bytes": None, "quality_score": None}
    unspoken["result"] = None
    add_job(api, owner, MIDNIGHT)
    add_job(api, owner, MIDNIGHT, output_size_bytes=40_000, result={"saved_bytes": 1_724_000})
    add_job(api, owner, MIDNIGHT, state=JobState.PENDING, started_at=None, **unspoken)
    add_job(api, owner, MIDNIGHT, state=JobState.CANCELLED, error_code="cancelled", **unspoken)
    for code in ("engine_failed", "engine_failed", "worker_lost"):
        add_job(api, owner, MIDNIGHT, state=JobState.FAILED, error_code=code, **unspoken)
    found = analytics(api, owner)
    day = by_date(found)["2026-03-10"]
    assert day["jobs"] == {
        "pending": 1,
        "processing": 0,
        "completed": 2,
        "failed": 3,
        "cancelled": 1,
    }
    assert day["characters"] == 300, "what failed or was cancelled was given back"
    assert (day["audio_s"], day["output_bytes"]) == (20.0, 160_000)
    assert day["saved_bytes"] == 1_644_000 + 1_724_000
    assert day["saved_share"] == round(1 - 160_000 / (20 * CD_BYTES_PER_S), 4)
    assert day["saved_share"] >= 0.85
    totals = found["totals"]
    assert {name: totals[name] for name in day.keys() - {"date"}} == {
        name: value for name, value in day.items() if name != "date"
    }
    assert totals["failures"] == {"engine_failed": 2, "worker_lost": 1}
    assert totals["real_time_factor"] == 0.05
    assert totals["quality_mean"] == 0.8


def test_what_pcm_would_take_is_derived_where_a_job_does_not_tell(api: Gateway) -> None:
    owner = api.register()
    told = add_job(api, owner, MIDNIGHT)
    silent = add_job(api, owner, MIDNIGHT, result={"saved_bytes": 1, "sample_rate": 22050})
    larger = add_job(api, owner, MIDNIGHT, output_size_bytes=500_000)
    shares = []
    for job in (told, silent, larger):
        shown = api.client.get(f"/api/tts/job/{job.id}", headers=owner.auth).get_json()
        shares.append(shown["saved_share_pcm"])
    assert shares == [0.7279, 0.7279, 0.0]
    day = by_date(analytics(api, owner))["2026-03-10"]
    assert day["saved_bytes_pcm"] == 2 * (441_000 - 120_000)


def test_waiting_times_are_told_by_percentile(api: Gateway) -> None:
    owner = api.register()
    for wait_s in range(1, 102):
        add_job(api, owner, MIDNIGHT, started_at=MIDNIGHT + timedelta(seconds=wait_s))
    add_job(api, owner, MIDNIGHT, started_at=None)
    waits = analytics(api, owner)["totals"]["queue_wait_s"]
    assert waits == {"p50": 51.0, "p95": 96.0}


def test_only_speech_is_counted(api: Gateway) -> None:
    owner = api.register()
    for kind in set(JobKind) - {JobKind.SPEECH}:
        add_job(api, owner, MIDNIGHT, kind=kind)
    assert analytics(api, owner)["totals"]["jobs"]["completed"] == 0


def test_what_is_stored_is_told_by_kind_with_its_cost(api: Gateway) -> None:
    owner = api.register()
    gib = 1024**3
    api.add_sample(owner, size_bytes=gib)
    api.add_sample(owner, size_bytes=gib)
    sizes = {f"{part}_size_bytes": gib // 4 for part in ("reference", "profile", "recorded")}
    api.add_voice(owner, facts={**sizes, "sample_size_bytes": gib // 4})
    api.add_voice(owner)
    month = timedelta(days=365.25 / 12)
    kept = {"output_key": "stories/a", "output_size_bytes": 2 * gib}
    add_job(api, owner, MIDNIGHT, **kept, expires_at=utc_now() + month / 2)
    add_job(api, owner, MIDNIGHT, output_key=None, output_size_bytes=gib)
    zipped = {"kind": JobKind.BATCH, "output_key": "stories/b", "output_size_bytes": gib}
    add_job(api, owner, MIDNIGHT, **zipped, expires_at=utc_now() - month)
    storage = analytics(api, owner)["storage"]
    price = api.container.settings.storage_cost_per_gib_month
    kinds = {kind["kind"]: kind for kind in storage["kinds"]}
    assert {name: kind["size_bytes"] / gib for name, kind in kinds.items()} == {
        "uploads": 2,
        "voices": 1,
        "outputs": 3,
    }
    assert {name: kind["count"] for name, kind in kinds.items()} == {
        "uploads": 2,
        "voices": 2,
        "outputs": 2,
    }
    assert kinds["outputs"]["cost_per_month"] == pytest.approx(3 * price, abs=1e-6)
    assert kinds["outputs"]["cost_until_removed"] == pytest.approx(price, rel=1e-3)
    assert kinds["uploads"]["cost_until_removed"] is None
    assert storage["size_bytes"] == 6 * gib
    assert storage["cost_per_month"] == pytest.approx(6 * price, abs=1e-6)
    assert storage["output_retention_h"] == api.container.settings.output_retention_h


def test_figures_are_the_callers_own(api: Gateway, ann: Account, admin: Account) -> None:
    owner, other = api.register(), api.register()
    add_job(api, owner, MIDNIGHT)
    api.add_sample(owner)
    assert analytics(api, other)["totals"]["jobs"]["completed"] == 0
    assert analytics(api, other)["storage"]["size_bytes"] == 0
    assert analytics(api, owner, f"{MARCH}&user_id={owner.id}") == analytics(api, owner)
    for query in (f"user_id={owner.id}", "all=true", f"user_id={NOBODY}"):
        refused = api.client.get(f"/api/analytics?{query}", headers=other.auth)
        assert error_of(refused, 403)["error_code"] == "missing_scope"


def test_administrators_see_one_user_or_all(api: Gateway, admin: Account) -> None:
    first, second = api.register(), api.register()
    day = datetime(2025, 7, 1, tzinfo=UTC)
    for owner in (first, second):
        add_job(api, owner, day)
    july = "from=2025-07-01&to=2025-07-31"
    one = analytics(api, admin, f"{july}&user_id={first.id}")
    assert (one["user_id"], one["totals"]["jobs"]["completed"]) == (str(first.id), 1)
    everybody = analytics(api, admin, f"{july}&all=true")
    assert (everybody["user_id"], everybody["totals"]["jobs"]["completed"]) == (None, 2)
    assert analytics(api, admin, july)["totals"]["jobs"]["completed"] == 0
    unknown = api.client.get(f"/api/analytics?user_id={NOBODY}", headers=admin.auth)
    assert error_of(unknown, 404)["error_code"] == "user_not_found"
    both = api.client.get(f"/api/analytics?all=true&user_id={first.id}", headers=admin.auth)
    error_of(both, 422)


def test_the_hit_rate_of_the_caches_is_told_where_it_is_known(api: Gateway, admin: Account) -> None:
    for result in ("hit", "hit", "hit", "miss"):
        PROFILE_CACHE.labels(result).inc()
    cache = analytics(api, admin, "all=true")["profile_cache"]
    assert cache["hits"] >= 3
    assert cache["hit_rate"] == round(cache["hits"] / (cache["hits"] + cache["misses"]), 4)
    assert analytics(api, admin, "")["profile_cache"] is None


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-02&to=2026-03-01",
        "from=2025-01-01&to=2026-01-02",
        "from=yesterday",
        "to=2026-02-30",
        "to=9999-12-31",
        "from=0001-01-01",
        "from=2026-03-01T00:00:00",
        "all=perhaps",
        "user_id=1",
        "day=2026-03-01",
    ],
)
def test_a_period_that_cannot_be_is_refused(api: Gateway, admin: Account, query: str) -> None:
    error_of(api.client.get(f"/api/analytics?{query}", headers=admin.auth), 422)


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("from=2024-01-01&to=2024-12-31", 366),
        ("from=2026-03-01&to=2026-03-01", 1),
        ("to=2026-03-31", 30),
        ("from=8999-12-31", 1),
    ],
)
def test_a_period_has_every_day_once(api: Gateway, ann: Account, query: str, days: int) -> None:
    assert len(by_date(analytics(api, ann, query))) == days
