"""Webhooks: signed, at least once, tried again, logged, replayed, and to public addresses only."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from mynah.contracts.states import JobKind, JobState, SampleState, VoiceState
from mynah.contracts.tasks import ASSEMBLE, StepPayload
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job, Step, Webhook, WebhookDelivery
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest
from mynah.jobs.claims import Claim, LeaseKeeper
from mynah.jobs.runner import Commit, StepRunner
from mynah.jobs.submission import StepPlan, submit_job
from mynah.jobs.transitions import cancel_job
from mynah.settings import Settings
from mynah.webhooks.delivery import Deliverer
from tests.integration.api.gateway import NOBODY, Account, Gateway, error_of, open_gateway
from tests.integration.api.receiver import DRIP, LATE, MOVED, Receiver, open_receiver

DOCS = Path(__file__).resolve().parents[3] / "docs" / "webhooks.md"
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def api(
    module_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway whose operator allows loopback, and who is quick to try again."""
    settings = {
        "webhooks_allow_private": True,
        "webhook_timeout_s": 0.5,
        "webhook_backoff_s": 0.02,
        "webhook_attempts": 3,
        "webhook_disable_after": 2,
        "webhooks_per_user": 4,
    }
    folder = tmp_path_factory.mktemp("objects")
    with open_gateway(module_database, redis_url, folder, **settings) as gateway:
        yield gateway


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


@pytest.fixture
def nothing_waits(api: Gateway) -> None:
    """What other tests left to be sent is forgotten."""
    with api.container.new_uow() as uow:
        uow.session.execute(update(WebhookDelivery).values(state="failed"))
        uow.commit()


@pytest.fixture
def deliverer(api: Gateway, nothing_waits: None) -> Iterator[Deliverer]:
    """A worker's senders."""
    opened = Deliverer(api.container.new_uow, api.container.settings)
    yield opened
    opened.close()


@pytest.fixture
def user(api: Gateway) -> Account:
    """Somebody without webhooks."""
    return api.register()


def create(api: Gateway, user: Account, url: str, *events: str) -> dict[str, Any]:
    body = {"url": url, "events": list(events or ["speech.completed"])}
    answer = api.client.post("/api/webhooks", json=body, headers=user.auth)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    made: dict[str, Any] = answer.get_json()
    return made


def send_test(api: Gateway, user: Account, hook: dict[str, Any]) -> dict[str, Any]:
    answer = api.client.post(f"/api/webhooks/{hook['webhook_id']}/test", headers=user.auth)
    assert answer.status_code == 202, answer.get_data(as_text=True)
    sent: dict[str, Any] = answer.get_json()
    return sent


def log_of(api: Gateway, user: Account, hook: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/api/webhooks/{hook['webhook_id']}/deliveries"
    items: list[dict[str, Any]] = api.client.get(path, headers=user.auth).get_json()["items"]
    return items


def show(api: Gateway, user: Account, hook: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/webhooks/{hook['webhook_id']}"
    shown: dict[str, Any] = api.client.get(path, headers=user.auth).get_json()
    return shown


def until(is_so: Callable[[], object], deliverer: Deliverer | None = None) -> None:
    """Wait for something, with a worker that delivers meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it never happens"
        if deliverer is not None:
            deliverer.deliver_due()
        time.sleep(0.01)


def deliver_all(api: Gateway, deliverer: Deliverer, hook: dict[str, Any]) -> None:
    """Deliver until nothing waits for a webhook."""

    def is_done() -> bool:
        with api.container.new_uow() as uow:
            waiting = select(WebhookDelivery.id).where(
                WebhookDelivery.webhook_id == UUID(hook["webhook_id"]),
                WebhookDelivery.state == "pending",
            )
            return uow.session.scalar(waiting.limit(1)) is None

    until(is_done, deliverer)


def end_job(
    api: Gateway,
    user: Account,
    kind: JobKind,
    how: JobState = JobState.COMPLETED,
    *,
    result: dict[str, Any] | None = None,
    **columns: Any,
) -> UUID:
    """A job of one step, which a worker ends; ``result``: the columns that it writes."""
    container = api.container
    job = Job(id=new_id(), user_id=user.id, kind=kind, request={"title": "A tale"}, **columns)
    with container.new_uow() as uow:
        submit_job(uow, job, [StepPlan(ASSEMBLE, f"test.{job.id}", 0)], 1)
        uow.commit()
        if how == JobState.CANCELLED:
            cancel_job(uow, job)
            uow.commit()
            return job.id
        step = uow.session.scalars(select(Step).where(Step.job_id == job.id)).one()

    def work(_: Claim) -> Commit:
        if how == JobState.FAILED:
            raise InvalidRequest("It cannot be.", code="odd_text")

        def commit(_: UnitOfWork, row: Job) -> None:
            for name, value in (result or {}).items():
                setattr(row, name, value)

        return commit

    keeper = LeaseKeeper(container.new_uow, 4.0, 1.0)
    runner = StepRunner(container.new_uow, keeper, container.settings)
    runner.run(StepPayload(step_id=step.id, job_id=job.id), work)
    return job.id


# Resources


def test_a_webhook_shows_its_secret_once(api: Gateway, user: Account) -> None:
    hook = create(api, user, "https://example.org/a", "speech.failed", "batch.completed")
    assert hook["secret"].startswith("whsec_")
    assert hook["events"] == ["batch.completed", "speech.failed"]
    assert "secret" not in show(api, user, hook)
    listed = api.client.get("/api/webhooks", headers=user.auth).get_json()["items"]
    assert listed == [show(api, user, hook)]
    with api.container.new_uow() as uow:
        row = uow.session.get_one(Webhook, UUID(hook["webhook_id"]))
    assert hook["secret"].encode() not in row.sealed_secret


def test_another_users_webhook_is_not_there(api: Gateway, user: Account, bob: Account) -> None:
    hook = create(api, user, "https://example.org/a")
    delivery = send_test(api, user, hook)
    path = f"/api/webhooks/{hook['webhook_id']}"
    for method, of in (
        *(("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret")),
        *(("POST", "/test"), ("GET", "/deliveries")),
        ("POST", f"/deliveries/{delivery['delivery_id']}/replay"),
    ):
        body = {"json": {}} if method == "PATCH" else {}
        answer = api.client.open(path + of, method=method, headers=bob.auth, **body)
        assert error_of(answer, 404)["error_code"] == "webhook_not_found"
    assert api.client.get("/api/webhooks", headers=bob.auth).get_json()["items"] == []


def test_a_delivery_belongs_to_its_webhook(api: Gateway, user: Account) -> None:
    one, other = (create(api, user, "https://example.org/a") for _ in range(2))
    delivery = send_test(api, user, one)["delivery_id"]
    for path in (
        f"{other['webhook_id']}/deliveries/{delivery}",
        f"{one['webhook_id']}/deliveries/{NOBODY}",
    ):
        answer = api.client.post(f"/api/webhooks/{path}/replay", headers=user.auth)
        assert error_of(answer, 404)["error_code"] == "delivery_not_found"


def test_webhooks_are_limited_per_user(api: Gateway, user: Account) -> None:
    for _ in range(4):
        create(api, user, "https://example.org/a")
    body = {"url": "https://example.org/a", "events": ["speech.failed"]}
    answer = api.client.post("/api/webhooks", json=body, headers=user.auth)
    assert error_of(answer, 409)["error_code"] == "too_many_webhooks"


def test_keys_may_not_make_webhooks_unless_asked_for(api: Gateway) -> None:
    app = api.register(scopes=("speech:write",))
    body = {"url": "https://example.org/a", "events": ["speech.failed"]}
    error_of(api.client.post("/api/webhooks", json=body, headers=app.key_auth), 403)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost:5432/", "http://169.254.169.254/", "http://10.0.0.1/"],
)
def test_private_addresses_are_refused_unless_allowed(
    new_gateway: Callable[..., Gateway], url: str
) -> None:
    api = new_gateway()
    user = api.register()
    body = {"url": url, "events": ["speech.failed"]}
    answer = api.client.post("/api/webhooks", json=body, headers=user.auth)
    assert error_of(answer, 422)["error_code"] == "webhook_address_refused"
    hook = create(api, user, "http://93.184.216.34/")
    path = f"/api/webhooks/{hook['webhook_id']}"
    answer = api.client.patch(path, json={"url": url}, headers=user.auth)
    assert error_of(answer, 422)["error_code"] == "webhook_address_refused"


def test_a_repeated_creation_makes_one_webhook(api: Gateway, user: Account) -> None:
    body = {"url": "https://example.org/a", "events": ["speech.failed"]}
    headers = {**user.auth, "Idempotency-Key": "one"}
    first, again = (api.client.post("/api/webhooks", json=body, headers=headers) for _ in range(2))
    assert first.data == again.data
    assert len(api.client.get("/api/webhooks", headers=user.auth).get_json()["items"]) == 1


# Deliveries


def checker() -> Callable[..., bool]:
    """The function that the documentation gives to receivers."""
    found = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.S)
    assert found
    names: dict[str, Any] = {}
    exec(found.group(1), names)  # our own documentation
    check: Callable[..., bool] = names["is_from_mynah"]
    return check


def test_the_documented_check_takes_our_signature_and_no_other(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    sent = send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (got,) = receiver.received
    is_from_mynah, signature = checker(), got.headers["Mynah-Signature"]
    assert is_from_mynah(hook["secret"], signature, got.body)
    assert not is_from_mynah(hook["secret"], signature, got.body + b" ")
    assert not is_from_mynah("whsec_other", signature, got.body)
    assert not is_from_mynah(hook["secret"], signature, got.body, tolerance_s=-1)
    assert not is_from_mynah(hook["secret"], "nonsense", got.body)
    assert got.headers["Mynah-Event"] == "webhook.test"
    assert got.headers["Mynah-Delivery"] == sent["delivery_id"]
    assert got.headers["Content-Type"] == "application/json"
    assert json.loads(got.body)["data"] == {"webhook_id": hook["webhook_id"]}


def test_a_new_secret_signs_from_then_on(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    path = f"/api/webhooks/{hook['webhook_id']}/rotate-secret"
    secret = api.client.post(path, headers=user.auth).get_json()["secret"]
    assert secret != hook["secret"]
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (got,) = receiver.received
    assert checker()(secret, got.headers["Mynah-Signature"], got.body)
    assert not checker()(hook["secret"], got.headers["Mynah-Signature"], got.body)


def test_a_finished_job_is_told_with_its_results(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url(), "speech.completed")
    result = {"actual_duration_s": 78.2, "output_format": "mp3", "output_size_bytes": 42}
    job_id = end_job(api, user, JobKind.SPEECH, result=result, characters=1200)
    deliver_all(api, deliverer, hook)
    (got,) = receiver.received
    message = json.loads(got.body)
    assert message["event"] == "speech.completed"
    told = message["data"]
    assert (told["job_id"], told["status"]) == (str(job_id), "completed")
    assert (told["duration_s"], told["output_format"], told["size_bytes"]) == (78.2, "mp3", 42)
    assert (told["title"], told["characters"], told["error_code"]) == ("A tale", 1200, None)
    (entry,) = log_of(api, user, hook)
    assert (entry["state"], entry["attempts"]) == ("delivered", 1)
    assert (entry["response_status"], entry["response_excerpt"]) == (200, "thanks")
    assert entry["ended_at"] >= entry["attempted_at"] >= entry["created_at"]
    assert entry["next_attempt_at"] is None


@pytest.mark.parametrize(
    ("kind", "how", "event"),
    [
        (JobKind.SPEECH, JobState.FAILED, "speech.failed"),
        (JobKind.SPEECH, JobState.CANCELLED, "speech.cancelled"),
        (JobKind.BATCH, JobState.COMPLETED, "batch.completed"),
        (JobKind.CLONE, JobState.COMPLETED, "voice.ready"),
        (JobKind.CLONE, JobState.FAILED, "voice.failed"),
        (JobKind.ANALYSIS, JobState.COMPLETED, "sample.analyzed"),
        (JobKind.ANALYSIS, JobState.FAILED, "sample.rejected"),
        (JobKind.AUDIO, JobState.COMPLETED, "audio.completed"),
        (JobKind.AUDIO, JobState.FAILED, "audio.failed"),
    ],
)
def test_every_event_reaches_who_wants_it_and_nobody_else(
    api: Gateway, user: Account, kind: JobKind, how: JobState, event: str
) -> None:
    things: dict[str, UUID] = {}
    if kind == JobKind.CLONE:
        things["voice_id"] = api.add_voice(user, state=VoiceState.CLONING).id
    if kind == JobKind.ANALYSIS:
        things["sample_id"] = api.add_sample(user, state=SampleState.UPLOADED).id
    wants = create(api, user, "http://127.0.0.1:9/", event)
    others = {"speech.completed", "speech.failed", "speech.cancelled"} - {event}
    other = create(api, user, "http://127.0.0.1:9/", *others)
    strangers = create(api, api.register(), "http://127.0.0.1:9/", event)
    job_id = end_job(api, user, kind, how, **things)
    with api.container.new_uow() as uow:
        rows = uow.session.scalars(
            select(WebhookDelivery).where(
                WebhookDelivery.webhook_id.in_(
                    [UUID(hook["webhook_id"]) for hook in (wants, other, strangers)]
                )
            )
        ).all()
    (row,) = rows
    assert (str(row.webhook_id), row.event) == (wants["webhook_id"], event)
    told = json.loads(row.body)["data"]
    assert told["job_id"] == str(job_id)
    assert told["error_code"] == ("odd_text" if how == JobState.FAILED else told["error_code"])
    for name, value in things.items():
        assert told[name] == str(value)


def test_nothing_is_told_of_what_was_rolled_back(api: Gateway, user: Account) -> None:
    hook = create(api, user, "http://127.0.0.1:9/", "speech.cancelled")
    job = Job(id=new_id(), user_id=user.id, kind=JobKind.SPEECH, request={})
    with api.container.new_uow() as uow:
        submit_job(uow, job, [StepPlan(ASSEMBLE, "test", 0)], 1)
        uow.commit()
    with api.container.new_uow() as uow:
        locked = uow.jobs.locked(job.id)
        assert locked is not None
        cancel_job(uow, locked)
    assert log_of(api, user, hook) == []


def test_a_failed_attempt_is_repeated_with_the_same_body(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.answers = [500, 503]
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    assert len(receiver.received) == 3
    assert len({got.body for got in receiver.received}) == 1
    assert len({got.headers["Mynah-Delivery"] for got in receiver.received}) == 1
    (entry,) = log_of(api, user, hook)
    assert (entry["state"], entry["attempts"], entry["error"]) == ("delivered", 3, None)
    assert show(api, user, hook)["failing_since"] is None


@pytest.mark.parametrize(
    ("path", "error"), [(LATE, "timeout"), (DRIP, "timeout"), (MOVED, "redirect_refused")]
)
def test_receivers_that_are_slow_or_elsewhere_are_failures(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer, path: str, error: str
) -> None:
    receiver.hold.clear()
    hook = create(api, user, receiver.url(path))
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (entry,) = log_of(api, user, hook)
    assert (entry["state"], entry["attempts"], entry["error"]) == ("failed", 3, error)
    assert {got.path for got in receiver.received} == {path}


def test_a_receiver_that_is_not_there_is_a_failure(
    api: Gateway, user: Account, deliverer: Deliverer
) -> None:
    with open_receiver() as gone:
        url = gone.url()
    hook = create(api, user, url)
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (entry,) = log_of(api, user, hook)
    assert (entry["error"], entry["response_status"]) == ("connection_failed", None)


@pytest.mark.usefixtures("nothing_waits")
def test_every_address_of_a_host_is_tried(api: Gateway, user: Account, receiver: Receiver) -> None:
    hook = create(api, user, f"http://two.example:{receiver.port}/hook")
    two = Deliverer(
        api.container.new_uow, api.container.settings, lambda *_: ["127.0.0.2", "127.0.0.1"]
    )
    send_test(api, user, hook)
    deliver_all(api, two, hook)
    two.close()
    assert log_of(api, user, hook)[0]["attempts"] == 1
    assert len(receiver.received) == 1


def test_nothing_is_sent_for_an_account_that_is_not_active(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    with api.container.new_uow() as uow:
        account = uow.users.get(user.id)
        assert account is not None
        account.is_active = False
        uow.commit()
    assert deliverer.deliver_due() == 0


def test_a_receiver_that_does_not_speak_tls_is_a_failure(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url().replace("http:", "https:"))
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    assert log_of(api, user, hook)[0]["error"] == "tls_failed"
    assert receiver.received == []


def test_of_a_huge_answer_the_beginning_is_kept(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.body = b"\x00\xff" + b"a" * 5_000_000
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (entry,) = log_of(api, user, hook)
    assert entry["response_excerpt"] == "\ufffd" + "a" * 998


def test_a_webhook_that_fails_for_good_is_disabled_and_can_be_enabled_again(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.status = 500
    hook = create(api, user, receiver.url())
    path = f"/api/webhooks/{hook['webhook_id']}"
    for _ in range(2):
        send_test(api, user, hook)
        deliver_all(api, deliverer, hook)
    shown = show(api, user, hook)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "too_many_failures")
    assert shown["failing_since"] is not None
    refused = api.client.post(f"{path}/test", headers=user.auth)
    assert error_of(refused, 409)["error_code"] == "webhook_disabled"
    end_job(api, user, JobKind.SPEECH)  # what happens meanwhile is not told
    receiver.status = 200
    enabled = api.client.patch(path, json={"enabled": True}, headers=user.auth).get_json()
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
    assert enabled["failing_since"] is None
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    assert [entry["state"] for entry in log_of(api, user, hook)] == [
        "delivered",
        "failed",
        "failed",
    ]


def test_a_delivery_can_be_replayed_by_hand(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    first = send_test(api, user, hook)["delivery_id"]
    deliver_all(api, deliverer, hook)
    path = f"/api/webhooks/{hook['webhook_id']}/deliveries/{first}/replay"
    again = api.client.post(path, headers=user.auth).get_json()
    assert (again["replay_of"], again["state"]) == (first, "pending")
    deliver_all(api, deliverer, hook)
    one, two = receiver.received
    assert one.body == two.body
    assert two.headers["Mynah-Delivery"] == again["delivery_id"] != first


def test_a_slow_receiver_does_not_hold_up_others(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.hold.clear()
    slow, quick = create(api, user, receiver.url(LATE)), create(api, user, receiver.url())
    for _ in range(8):
        send_test(api, user, slow)
    deliverer.deliver_due()
    until(lambda: receiver.under_way == 4)  # no more than four to one webhook at a time
    deliverer.deliver_due()
    send_test(api, user, quick)
    deliverer.deliver_due()
    until(lambda: log_of(api, user, quick)[0]["state"] == "delivered")
    assert not any(entry["state"] == "delivered" for entry in log_of(api, user, slow))


def test_what_a_killed_worker_had_claimed_is_sent_by_another(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    with api.container.new_uow() as uow:  # claimed by one who never comes back
        claimed = uow.deliveries.claim_due(timedelta(seconds=0.3), per_webhook=4, limit=9)
        uow.commit()
    assert len(claimed) == 1
    assert deliverer.deliver_due() == 0
    deliver_all(api, deliverer, hook)
    assert len(receiver.received) == 1
    assert log_of(api, user, hook)[0]["attempts"] == 2


@pytest.mark.usefixtures("nothing_waits")
def test_a_late_result_of_an_old_claim_changes_nothing(api: Gateway, user: Account) -> None:
    hook = create(api, user, "http://127.0.0.1:9/")
    delivery = UUID(send_test(api, user, hook)["delivery_id"])
    tokens = []
    for _ in range(2):  # the second takes what the first let go
        with api.container.new_uow() as uow:
            ((row, _),) = uow.deliveries.claim_due(timedelta(0), per_webhook=4, limit=9)
            uow.commit()
            assert row.claim_token is not None
            tokens.append(row.claim_token)
    with api.container.new_uow() as uow:
        assert uow.deliveries.held(delivery, tokens[0]) is None
        assert uow.deliveries.held(delivery, tokens[1]) is not None


@pytest.mark.usefixtures("nothing_waits")
def test_the_address_is_checked_at_every_connection(
    api: Gateway, user: Account, receiver: Receiver
) -> None:
    """A name that was public when the webhook was made means a private address now."""
    hook = create(api, user, f"http://rebound.example:{receiver.port}/hook")
    asked: list[str] = []

    def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    strict = Settings(**{**api.container.settings.model_dump(), "webhooks_allow_private": False})
    rebound = Deliverer(api.container.new_uow, strict, resolve)
    send_test(api, user, hook)
    deliver_all(api, rebound, hook)
    rebound.close()
    assert receiver.received == []
    assert asked == ["rebound.example"] * 3  # each attempt looks once and connects to what it saw
    assert log_of(api, user, hook)[0]["error"] == "address_refused"
    allowed = Deliverer(api.container.new_uow, api.container.settings, resolve)
    send_test(api, user, hook)
    deliver_all(api, allowed, hook)
    allowed.close()
    (got,) = receiver.received
    assert got.headers["Host"] == f"rebound.example:{receiver.port}"


@pytest.mark.usefixtures("nothing_waits")
def test_a_secret_that_cannot_be_read_is_told_in_the_log(
    api: Gateway, user: Account, receiver: Receiver
) -> None:
    hook = create(api, user, receiver.url())
    other = {**api.container.settings.model_dump(), "jwt_secret": SecretStr("y" * 40)}
    deliverer = Deliverer(api.container.new_uow, Settings(**other))
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    deliverer.close()
    assert receiver.received == []
    assert log_of(api, user, hook)[0]["error"] == "secret_unreadable"


def test_old_deliveries_are_forgotten(api: Gateway, user: Account) -> None:
    hook = create(api, user, "http://127.0.0.1:9/")
    send_test(api, user, hook)
    with api.container.new_uow() as uow:
        uow.deliveries.delete_before(utc_now() + timedelta(seconds=5), 1000)
        uow.commit()
    assert log_of(api, user, hook) == []


def test_deleting_a_webhook_deletes_what_waits_for_it(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    path = f"/api/webhooks/{hook['webhook_id']}"
    assert api.client.delete(path, headers=user.auth).status_code == 204
    assert deliverer.deliver_due() == 0
    error_of(api.client.get(path, headers=user.auth), 404)
