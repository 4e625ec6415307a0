"""Pronunciation dictionaries: rules in versions, files in and out, use by voices and jobs."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from mynah.contracts.speech import DictionaryRef
from mynah.contracts.states import Visibility
from mynah.errors import InvalidRequest, NotFound
from mynah.text.pronunciation import MAX_RULES
from services.api.schemas import dictionaries as dictionary_schemas
from services.api.use_cases import dictionaries
from services.api.use_cases.dictionaries import (
    MAX_DICTIONARIES_PER_JOB,
    DictionaryChoice,
    resolve_dictionaries,
)
from tests.integration.api.gateway import ADA, NOBODY, Account, Gateway, error_of
from tests.integration.voices.studio import multipart

SIOBHAN = {"kind": "alias", "written": "Siobhan", "spoken": "Shivawn"}
TOMATO = {"kind": "phoneme", "written": "tomato", "spoken": "təˈmeɪtoʊ", "case_sensitive": True}
DEFAULTS = {"case_sensitive": False, "word_boundaries": True}


def put_rules(api: Gateway, owner: Account, dictionary_id: str, *rules: Any) -> TestResponse:
    path = f"/api/dictionaries/{dictionary_id}/rules"
    return api.client.put(path, json={"rules": list(rules)}, headers=owner.auth)


def put_on_voice(api: Gateway, owner: Account, voice_id: Any, *choices: Any) -> TestResponse:
    path = f"/api/voices/{voice_id}/dictionaries"
    return api.client.put(path, json={"dictionaries": list(choices)}, headers=owner.auth)


def get(api: Gateway, owner: Account, path: str) -> Any:
    response = api.client.get(path, headers=owner.auth)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def import_file(
    api: Gateway, owner: Account, data: bytes, called: str, **form: str
) -> TestResponse:
    fields = {"file": (io.BytesIO(data), called), **form}
    path = "/api/dictionaries/import"
    return api.client.post(path, **multipart(fields), headers=owner.auth)


def test_a_dictionary_is_made_shown_listed_renamed_and_deleted(api: Gateway) -> None:
    owner = api.register()
    made = api.add_dictionary(owner, rules=[SIOBHAN, TOMATO], description="Irish")
    assert made["rules"] == [{**DEFAULTS, **SIOBHAN}, {**DEFAULTS, **TOMATO}]
    assert (made["latest_version"], made["rule_count"]) == (1, 2)
    path = f"/api/dictionaries/{made['id']}"
    assert get(api, owner, path) == made
    renamed = api.client.patch(path, json={"name": "Names of Eire"}, headers=owner.auth).get_json()
    assert (renamed["name"], renamed["description"]) == ("Names of Eire", "Irish")
    [listed] = get(api, owner, "/api/dictionaries")["items"]
    assert listed == renamed
    assert api.client.delete(path, headers=owner.auth).status_code == 204
    assert error_of(api.client.get(path, headers=owner.auth), 404)["error_code"] == (
        "dictionary_not_found"
    )
    assert get(api, owner, "/api/dictionaries")["items"] == []


def test_new_rules_are_a_new_version_and_the_old_one_stays(api: Gateway, ann: Account) -> None:
    made = api.add_dictionary(ann, rules=[SIOBHAN])
    changed = put_rules(api, ann, made["id"], TOMATO).get_json()
    assert (changed["latest_version"], changed["rules"]) == (2, [{**DEFAULTS, **TOMATO}])
    again = put_rules(api, ann, made["id"], TOMATO).get_json()
    assert again["latest_version"] == 2, "the same rules make no version"
    path = f"/api/dictionaries/{made['id']}/versions"
    listed = get(api, ann, path)["items"]
    assert [(item["version"], item["rule_count"]) for item in listed] == [(2, 1), (1, 1)]
    assert get(api, ann, f"{path}/1")["rules"] == made["rules"]
    assert get(api, ann, f"{path}/2")["rules"] == changed["rules"]
    for unknown in (0, 3, 10**30):
        response = api.client.get(f"{path}/{unknown}", headers=ann.auth)
        assert error_of(response, 404)["error_code"] == "dictionary_version_not_found"
    first = get(api, ann, f"{path}?limit=1")
    second = get(api, ann, f"{path}?limit=1&cursor={first['next_cursor']}")
    assert [item["version"] for item in second["items"]] == [1]


def test_rules_that_come_at_once_become_versions_one_after_another(
    api: Gateway, ann: Account
) -> None:
    made = api.add_dictionary(ann)
    rules = [{**SIOBHAN, "spoken": f"Shivawn {number}"} for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda rule: put_rules(api, ann, made["id"], rule), rules))
    assert sorted(answer.get_json()["latest_version"] for answer in answers) == list(range(2, 8))


@pytest.mark.parametrize(
    ("second", "is_refused"),
    [
        ({**SIOBHAN, "spoken": "Sheevawn"}, True),
        ({**SIOBHAN, "written": " SIOBHAN "}, True),
        ({**SIOBHAN, "word_boundaries": False}, True),
        ({**SIOBHAN, "case_sensitive": True}, False),
        ({**SIOBHAN, "written": "Siobhans"}, False),
    ],
)
def test_a_writing_has_one_rule_and_the_index_of_another_is_told(
    api: Gateway, ann: Account, second: dict[str, Any], is_refused: bool
) -> None:
    body = {"name": "Names", "rules": [TOMATO, SIOBHAN, second]}
    response = api.client.post("/api/dictionaries", json=body, headers=ann.auth)
    if not is_refused:
        assert response.status_code == 201
        return
    error = error_of(response, 422)
    assert error["error_code"] == "duplicate_rules"
    assert list(error["errors"]) == ["rules.2"]
    made = api.add_dictionary(ann)
    assert error_of(put_rules(api, ann, made["id"], SIOBHAN, second), 422)["error_code"] == (
        "duplicate_rules"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "sound"),
        ("written", ""),
        ("written", "   "),
        ("written", "a" * 101),
        ("written", "two\nlines"),
        ("spoken", "\u0007"),
        ("spoken", "a" * 201),
        ("spoken", None),
        ("case_sensitive", "perhaps"),
        ("is_case_sensitive", True),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_index(
    api: Gateway, ann: Account, field: str, value: Any
) -> None:
    body = {"name": "Names", "rules": [TOMATO, {**SIOBHAN, field: value}]}
    error = error_of(api.client.post("/api/dictionaries", json=body, headers=ann.auth), 422)
    [(index, problems)] = error["errors"]["json"]["rules"].items()
    assert index == "1"
    assert field in problems or field in str(problems["_schema"])


def test_words_of_every_script_are_taken(api: Gateway, ann: Account) -> None:
    words = ("می\u200cخواهم", "क्\u200dष", "東京", "Zoe\u0308", "naïve café")
    rules = [{"kind": "alias", "written": word, "spoken": word} for word in words]
    made = api.add_dictionary(ann, rules=rules)
    assert [rule["written"] for rule in made["rules"]] == [*words[:3], "Zoë", words[4]]


def test_a_dictionary_takes_five_thousand_rules_and_no_more(api: Gateway, ann: Account) -> None:
    rules = [{**SIOBHAN, "written": f"Siobhan {number}"} for number in range(5001)]
    made = api.add_dictionary(ann, rules=rules[:5000])
    assert made["rule_count"] == 5000
    body = {"name": "Names", "rules": rules}
    error_of(api.client.post("/api/dictionaries", json=body, headers=ann.auth), 422)


def test_numbers_of_dictionaries_and_versions_are_limited(
    api: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = api.register()
    monkeypatch.setattr(dictionaries, "MAX_DICTIONARIES_PER_USER", 2)
    monkeypatch.setattr(dictionaries, "MAX_VERSIONS", 2)
    made = [api.add_dictionary(owner) for _ in range(2)]
    body = {"name": "Names", "rules": []}
    response = api.client.post("/api/dictionaries", json=body, headers=owner.auth)
    assert error_of(response, 409)["error_code"] == "too_many_dictionaries"
    assert put_rules(api, owner, made[0]["id"], TOMATO).status_code == 200
    refused = put_rules(api, owner, made[0]["id"], SIOBHAN, TOMATO)
    assert error_of(refused, 409)["error_code"] == "too_many_versions"


def test_another_users_dictionary_does_not_exist(api: Gateway, ann: Account, bob: Account) -> None:
    path = f"/api/dictionaries/{api.add_dictionary(ann)['id']}"
    for method, rest, body in (
        ("GET", "", None),
        ("GET", "/versions", None),
        ("GET", "/versions/1", None),
        ("GET", "/export", None),
        ("PATCH", "", {"name": "Mine"}),
        ("PUT", "/rules", {"rules": []}),
        ("DELETE", "", None),
    ):
        answer = api.client.open(path + rest, method=method, json=body, headers=bob.auth)
        assert error_of(answer, 404)["error_code"] == "dictionary_not_found"
    assert get(api, ann, path)["latest_version"] == 1


@pytest.mark.parametrize("kind", ["pls", "json"])
def test_an_exported_dictionary_comes_back_the_same(api: Gateway, ann: Account, kind: str) -> None:
    rules = [
        SIOBHAN,
        TOMATO,
        {**SIOBHAN, "written": "<&\"'>", "spoken": "x & y", "word_boundaries": False},
    ]
    made = api.add_dictionary(ann, rules=rules, name="Ünusual")
    path = f"/api/dictionaries/{made['id']}/export?format={kind}"
    exported = api.client.get(path, headers=ann.auth)
    assert exported.status_code == 200
    assert f".{kind}" in exported.headers["Content-Disposition"]
    back = import_file(api, ann, exported.get_data(), f"Ünusual.{kind}")
    assert back.status_code == 201, back.get_data(as_text=True)
    assert back.get_json()["name"] == "Ünusual"
    assert back.get_json()["rules"] == made["rules"]


def test_an_old_version_is_exported_too(api: Gateway, ann: Account) -> None:
    made = api.add_dictionary(ann, rules=[SIOBHAN])
    put_rules(api, ann, made["id"], TOMATO)
    path = f"/api/dictionaries/{made['id']}/export?format=json"
    assert get(api, ann, f"{path}&version=1")["rules"] == made["rules"]
    assert get(api, ann, path)["rules"] == [{**DEFAULTS, **TOMATO}]
    error_of(api.client.get(f"{path}&version=3", headers=ann.auth), 404)
    error_of(api.client.get(f"{path}&version=0", headers=ann.auth), 422)


def test_a_lexicon_of_others_is_read(api: Gateway, ann: Account) -> None:
    lexicon = """<?xml version="1.0" encoding="UTF-8"?>
    <lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
        alphabet="ipa" xml:lang="en-US">
      <lexeme><grapheme>W3C</grapheme><alias>World Wide Web Consortium</alias></lexeme>
      <lexeme><grapheme>tomato</grapheme><phoneme>təˈmeɪtoʊ</phoneme></lexeme>
    </lexicon>"""
    made = import_file(api, ann, lexicon.encode(), "words.pls", name="Words").get_json()
    assert made["name"] == "Words"
    kinds = [(rule["kind"], rule["written"]) for rule in made["rules"]]
    assert kinds == [("alias", "W3C"), ("phoneme", "tomato")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_dictionary_file"),
        (b"\xff\xfe<", "invalid_dictionary_file"),
        (b"[]", "invalid_dictionary_file"),
        (b"[" * 100_000, "invalid_dictionary_file"),
        (b"{}", "invalid_dictionary_file"),
        (b'{"name": "x", "rules": [{"kind": "alias"}]}', "invalid_dictionary_file"),
        (json.dumps({"name": "a\ud800", "rules": []}).encode(), "invalid_dictionary_file"),
        (json.dumps({"name": "x", "rules": [SIOBHAN] * 2}).encode(), "duplicate_rules"),
        (b"<lexicon>", "invalid_rule"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><lexicon>&x;</lexicon>', "invalid_rule"),
        (b"<lexicon><lexeme/></lexicon>", "invalid_rule"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_dictionary_is_refused(
    api: Gateway, ann: Account, data: bytes, code: str
) -> None:
    error = error_of(import_file(api, ann, data, "file"), 422)
    assert error["error_code"] == code


def test_a_wrong_rule_of_a_file_is_named(api: Gateway, ann: Account) -> None:
    data = json.dumps({"name": "x", "rules": [TOMATO, {**SIOBHAN, "kind": "sound"}]}).encode()
    error = error_of(import_file(api, ann, data, "file.json"), 422)
    assert list(error["errors"]) == ["rules.1.kind"]


def test_a_file_that_is_too_large_is_refused(api: Gateway, ann: Account) -> None:
    error_of(import_file(api, ann, b"<" + b" " * 5 * 1024 * 1024, "file.pls"), 413)


def test_dictionaries_are_put_on_an_own_voice_and_shown(
    api: Gateway, ann: Account, bob: Account
) -> None:
    voice = api.add_voice(ann, visibility=Visibility.PUBLIC)
    first, second = (api.add_dictionary(ann)["id"] for _ in range(2))
    choices = [{"dictionary_id": second, "version": None}, {"dictionary_id": first, "version": 1}]
    shown = put_on_voice(api, ann, voice.id, *choices)
    assert shown.status_code == 200, shown.get_data(as_text=True)
    assert shown.get_json()["dictionaries"] == choices
    assert get(api, ann, f"/api/voices/{voice.id}")["dictionaries"] == choices
    assert get(api, bob, f"/api/voices/{voice.id}")["dictionaries"] is None
    emptied = put_on_voice(api, ann, voice.id)
    assert emptied.get_json()["dictionaries"] == []


def test_what_cannot_be_put_on_a_voice_is_refused(api: Gateway, ann: Account, bob: Account) -> None:
    voice = api.add_voice(ann).id
    own = {"dictionary_id": api.add_dictionary(ann)["id"]}
    foreign = {"dictionary_id": api.add_dictionary(bob)["id"]}
    for choices, status, code in (
        ([foreign], 404, "dictionary_not_found"),
        ([{"dictionary_id": str(NOBODY)}], 404, "dictionary_not_found"),
        ([{**own, "version": 2}], 404, "dictionary_version_not_found"),
        ([own, own], 422, "duplicate_dictionary"),
        ([own] * 4, 422, "invalid_request"),
    ):
        error = error_of(put_on_voice(api, ann, voice, *choices), status)
        assert error["error_code"] == code
    assert error_of(put_on_voice(api, ann, ADA, own), 403)["error_code"] == "voice_is_public"
    assert error_of(put_on_voice(api, bob, voice, foreign), 404)["error_code"] == "voice_not_found"
    assert get(api, ann, f"/api/voices/{voice}")["dictionaries"] == []


def test_a_deleted_dictionary_is_taken_off_every_voice(api: Gateway, ann: Account) -> None:
    kept, gone = (api.add_dictionary(ann)["id"] for _ in range(2))
    voices = [api.add_voice(ann).id for _ in range(3)]
    for voice in voices[:2]:
        choices = [{"dictionary_id": gone, "version": 1}, {"dictionary_id": kept}]
        assert put_on_voice(api, ann, voice, *choices).status_code == 200
    response = api.client.delete(f"/api/dictionaries/{gone}", headers=ann.auth)
    assert response.status_code == 204
    left = [get(api, ann, f"/api/voices/{voice}")["dictionaries"] for voice in voices]
    assert left == [[{"dictionary_id": kept, "version": None}]] * 2 + [[]]


def test_a_dictionary_is_not_put_on_a_voice_while_it_is_deleted(api: Gateway, ann: Account) -> None:
    dictionary = api.add_dictionary(ann)["id"]
    voice = api.add_voice(ann).id
    with ThreadPoolExecutor(2) as pool:
        put = pool.submit(put_on_voice, api, ann, voice, {"dictionary_id": dictionary})
        path = f"/api/dictionaries/{dictionary}"
        deleted = pool.submit(api.client.delete, path, headers=ann.auth)
        assert deleted.result().status_code == 204
        assert put.result().status_code in (200, 404)
    assert get(api, ann, f"/api/voices/{voice}")["dictionaries"] == []


def resolve(
    api: Gateway, user: Account, voice_id: UUID, *choices: DictionaryChoice
) -> tuple[list[DictionaryRef], list[str]]:
    """What a job would use, and what its rules are written for."""
    with api.container.new_uow() as uow:
        voice = uow.voices.by_id(voice_id)
        assert voice is not None
        refs, rules = resolve_dictionaries(uow, user.id, choices, voice)
    return refs, [rule["spoken"] for rule in rules]


def spoken(api: Gateway, owner: Account, word: str) -> UUID:
    made = api.add_dictionary(owner, rules=[{**SIOBHAN, "spoken": word}])
    return UUID(made["id"])


def test_a_job_uses_its_own_dictionaries_first_then_its_voices(
    api: Gateway, ann: Account, bob: Account
) -> None:
    of_voice, of_job, of_both = (spoken(api, ann, word) for word in ("voice", "job", "both"))
    put_rules(api, ann, str(of_both), {**SIOBHAN, "spoken": "both, later"})
    voice = api.add_voice(ann, visibility=Visibility.PUBLIC).id
    choices = [{"dictionary_id": str(each)} for each in (of_both, of_voice)]
    put_on_voice(api, ann, voice, *choices)
    assert resolve(api, ann, voice)[1] == ["both, later", "voice"]
    refs, words = resolve(api, ann, voice, DictionaryChoice(of_job), DictionaryChoice(of_both, 1))
    assert words == ["job", "both", "voice"]
    assert refs == [
        DictionaryRef(dictionary_id=of_job, version=1),
        DictionaryRef(dictionary_id=of_both, version=1),
        DictionaryRef(dictionary_id=of_voice, version=1),
    ]
    # Whoever speaks as a public voice speaks as its owner wants it to.
    assert resolve(api, bob, voice)[1] == ["both, later", "voice"]
    assert resolve(api, ann, ADA) == ([], [])


def test_a_job_cannot_use_what_its_user_does_not_have(
    api: Gateway, ann: Account, bob: Account
) -> None:
    foreign = spoken(api, bob, "foreign")
    for dictionary_id in (foreign, NOBODY):
        with pytest.raises(NotFound) as refused:
            resolve(api, ann, ADA, DictionaryChoice(dictionary_id))
        assert refused.value.code == "dictionary_not_found"


def test_a_job_uses_three_dictionaries_at_most(api: Gateway, ann: Account) -> None:
    own = [spoken(api, ann, str(number)) for number in range(4)]
    voice = api.add_voice(ann).id
    put_on_voice(api, ann, voice, *({"dictionary_id": str(each)} for each in own[:2]))
    resolve(api, ann, voice, DictionaryChoice(own[2]))
    for choices in (own[2:], own):
        with pytest.raises(InvalidRequest) as refused:
            resolve(api, ann, voice, *map(DictionaryChoice, choices))
        assert refused.value.code == "too_many_dictionaries"


def test_all_dictionaries_of_a_job_may_be_full() -> None:
    assert dictionary_schemas.MAX_RULES * MAX_DICTIONARIES_PER_JOB <= MAX_RULES
