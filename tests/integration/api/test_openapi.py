"""The gateway does what its OpenAPI document says, for requests made up after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mynah.audio.mp3 import encode_mp3
from mynah.audio.waveform import Waveform
from tests.integration.api.gateway import ADA, Account, Gateway, open_gateway
from tests.integration.api.test_accounts import LINKED, PUBLIC

AT_ONCE = {"POST /tts/generate", "POST /api/tts/stream"}


def answers_without_crashing(
    context: schemathesis.CheckContext, answer: schemathesis.Response, case: schemathesis.Case
) -> None:
    """No server error but one: speech that nobody speaks is not ready in time."""
    is_late = answer.status_code == 504 and case.operation.label in AT_ONCE
    assert answer.status_code < 500 or is_late, answer.text


CHECKS = [
    answers_without_crashing,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def api(
    module_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway that does not wait for speech: nobody speaks here."""
    folder = tmp_path_factory.mktemp("objects")
    with open_gateway(module_database, redis_url, folder, sync_timeout_s=0.01) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def document(api: Gateway) -> dict[str, Any]:
    """The OpenAPI document as the gateway serves it."""
    answer = api.client.get("/openapi.json")
    assert answer.status_code == 200
    served: dict[str, Any] = answer.get_json()
    return served


# The same requests in every run: a test that fails fails for everybody.
bounded = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


# Hashing passwords is slow by design.
SLOW = {"POST /api/auth/register", "POST /api/auth/login", "PATCH /api/auth/me"}


def failures_of(
    operation: Any, mode: GenerationMode, headers: dict[str, str], real: dict[str, str]
) -> list[str]:
    """What is not as documented in the answers to a few requests; ``real`` replaces made-up ids."""

    @settings(bounded, max_examples=2 if operation.label in SLOW else 8)
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers_conform(case: schemathesis.Case) -> None:
        for place in (case.path_parameters, case.body):
            if isinstance(place, dict):
                place.update({name: real[name] for name in real.keys() & place.keys()})
        case.call_and_validate(headers=headers, checks=CHECKS)

    try:
        answers_conform()
    except Unsatisfiable:  # nothing can be wrong about a route without parameters
        pass
    except (Exception, BaseExceptionGroup) as error:
        details = getattr(error, "exceptions", [error])
        return [f"{operation.label}: {detail}" for detail in details]
    return []


def things_of(api: Gateway, account: Account) -> dict[str, str]:
    """One of everything that a path can name."""
    job = api.generate(account).get_json()["job_id"]
    api.complete_job(job, encode_mp3(Waveform(np.zeros(22050, np.float32), 22050)))
    batch = {"items": [{"text": "Hello.", "voice_id": str(ADA)}]}
    batch_id = api.client.post("/api/tts/batch", json=batch, headers=account.auth).get_json()
    sample = str(api.add_sample(account).id)
    keys = api.client.get("/api/auth/keys", headers=account.auth).get_json()["items"]
    dictionary = api.add_dictionary(account)["id"]
    hook = {"url": "https://93.184.216.34/", "events": ["speech.completed"]}
    webhook = api.client.post("/api/webhooks", json=hook, headers=account.auth).get_json()
    delivery = api.client.post(
        f"/api/webhooks/{webhook['webhook_id']}/test", headers=account.auth
    ).get_json()
    return {
        "webhook_id": webhook["webhook_id"],
        "delivery_id": delivery["delivery_id"],
        "job_id": job,
        "batch_id": batch_id["batch_id"],
        "sample_id": sample,
        "voice_id": str(api.add_voice(account).id),
        "dictionary_id": dictionary,
        "dictionaries": [{"dictionary_id": dictionary, "version": 1}],
        "version": 1,
        "key_id": keys[-1]["id"],
        "user_id": str(api.register().id),
        "model_id": "espeak",
        "language": "en",
        "engine": "espeak",
        "sample_ids": [sample],
    }


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.usefixtures("dropped_files")
def test_answers_are_as_documented(
    api: Gateway, document: dict[str, Any], mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.app = api.app
    failures = []
    for found in schema.get_all_operations():
        account = api.register(role="admin")
        real = things_of(api, account) if mode is GenerationMode.POSITIVE else {}
        failures += failures_of(found.ok(), mode, account.auth, real)
    assert not failures, "\n".join(failures)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_every_route_is_documented(api: Gateway, document: dict[str, Any]) -> None:
    documented = set(document["paths"])
    for rule in api.app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        if rule.rule.startswith(("/api/", "/tts", "/voices")):
            assert path in documented


def test_every_operation_names_its_credentials_and_errors(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        responses = operation["responses"]
        assert operation["summary"], (method, path)
        assert "default" not in responses, (method, path)
        assert {"400", "422", "429", "503"} <= set(responses), (method, path)
        if path not in PUBLIC and (method.upper(), path) not in LINKED:
            assert {"bearer": []} in operation["security"], (method, path)
            assert {"apiKey": []} in operation["security"], (method, path)
            assert {"401", "403"} <= set(responses), (method, path)


def test_operation_ids_are_given_once(document: dict[str, Any]) -> None:
    ids = [operation.get("operationId") for _, _, operation in operations(document)]
    given = [name for name in ids if name]
    assert len(given) == len(set(given))


def test_every_error_is_documented_in_the_one_body(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400":
                found = answer
                if "$ref" in answer:
                    found = document["components"]["responses"][answer["$ref"].split("/")[-1]]
                schema_of_answer = found["content"]["application/json"]["schema"]
                assert schema_of_answer == {"$ref": "#/components/schemas/Error"}, (method, path)


def test_uploads_are_documented_as_one_body(document: dict[str, Any]) -> None:
    for path in (
        "/api/samples",
        "/voices",
        "/api/voices/import",
        "/api/dictionaries/import",
        "/api/audio/analyze",
    ):
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]["multipart/form-data"]
        name = content["schema"]["$ref"].split("/")[-1]
        fields = document["components"]["schemas"][name]["properties"]
        assert {"file", "files"} & fields.keys()
        assert {"name", "sample_ids"} & fields.keys()
    for _, path, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter.get("in") in {"path", "query", "header"}, path
