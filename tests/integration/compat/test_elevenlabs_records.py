"""ElevenLabs' own Python SDK, unmodified: history, usage, account and dictionaries."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from elevenlabs import ElevenLabs, UnprocessableEntityError
from elevenlabs.core.api_error import ApiError
from elevenlabs.pronunciation_dictionaries import (
    BodyAddAPronunciationDictionaryV1PronunciationDictionariesAddFromRulesPostRulesItem_Alias as Alias,  # noqa: E501
)
from elevenlabs.pronunciation_dictionaries import (
    BodyAddAPronunciationDictionaryV1PronunciationDictionariesAddFromRulesPostRulesItem_Phoneme as Phoneme,  # noqa: E501
)

from tests.integration.api.gateway import ADA, Account
from tests.integration.compat.conftest import QUOTA, Stack
from tests.integration.compat.test_openai import duration_of

TEXTS = ["The first tale.", "The second tale.", "A third story."]


@pytest.fixture
def client(stack: Stack, account: Account) -> Iterator[ElevenLabs]:
    with stack.elevenlabs(account.key) as opened:
        yield opened


@pytest.fixture
def spoken(client: ElevenLabs) -> list[bytes]:
    """The audio of three speeches, in order."""
    return [b"".join(client.text_to_speech.convert(str(ADA), text=text)) for text in TEXTS]


def test_the_history_holds_what_was_spoken(client: ElevenLabs, spoken: list[bytes]) -> None:
    page = client.history.list(page_size=2)
    assert page.has_more
    assert [item.text for item in page.history] == TEXTS[:0:-1]
    rest = client.history.list(start_after_history_item_id=page.last_history_item_id)
    assert [item.text for item in rest.history] == TEXTS[:1]
    assert not rest.has_more
    item = client.history.get(page.history[0].history_item_id)
    assert (item.voice_name, item.output_format) == ("Ada", "mp3_44100_128")
    assert item.character_count_change_to - item.character_count_change_from == len(TEXTS[2])
    assert b"".join(client.history.get_audio(item.history_item_id)) == spoken[2]


def test_the_history_is_searched_and_filtered(client: ElevenLabs, spoken: list[bytes]) -> None:
    assert spoken

    def texts(**query: Any) -> list[str | None]:
        return [item.text for item in client.history.list(**query).history]

    assert texts(search="STORY") == TEXTS[2:]
    assert texts(sort_direction="asc") == TEXTS
    assert len(texts(voice_id=str(ADA))) == 3
    assert texts(voice_id="adam") == []
    assert len(texts(model_id="eleven_v3")) == 3
    now = int(time.time())
    assert len(texts(date_after_unix=now - 600)) == 3
    assert texts(date_before_unix=now - 600) == []


def test_items_are_downloaded_and_deleted(client: ElevenLabs, spoken: list[bytes]) -> None:
    ids = [item.history_item_id for item in client.history.list().history]
    assert b"".join(client.history.download(history_item_ids=ids[:1])) == spoken[2]
    packed = b"".join(client.history.download(history_item_ids=ids))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert sorted(archive.read(name) for name in archive.namelist()) == sorted(spoken)
    client.history.delete(ids[0])
    with pytest.raises(ApiError) as caught:
        client.history.get(ids[0])
    assert caught.value.status_code == 404
    assert len(client.history.list().history) == 2


def test_a_download_has_a_largest_size(
    client: ElevenLabs,
    stack: Stack,
    account: Account,
    spoken: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = [item.history_item_id for item in client.history.list().history]
    small = stack.container.settings.model_copy(update={"max_archive_bytes": len(spoken[0])})
    monkeypatch.setattr(type(stack.container), "settings", small, raising=False)
    answer = stack.gateway.client.post(
        "/v1/history/download",
        json={"history_item_ids": ids},
        headers={"xi-api-key": account.key},
    )
    assert answer.status_code == 422
    assert "bytes together" in answer.get_data(as_text=True)


def test_another_users_history_is_not_found(
    client: ElevenLabs, stack: Stack, spoken: list[bytes]
) -> None:
    assert spoken
    item_id = client.history.list().history[0].history_item_id
    with stack.elevenlabs(stack.gateway.register().key) as stranger:
        assert stranger.history.list().history == []
        for look in (
            lambda: stranger.history.get(item_id),
            lambda: b"".join(stranger.history.get_audio(item_id)),
            lambda: b"".join(stranger.history.download(history_item_ids=[item_id])),
            lambda: stranger.history.delete(item_id),
        ):
            with pytest.raises(ApiError) as caught:
                look()
            assert caught.value.status_code == 404


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month", "cumulative"])
def test_usage_adds_up(client: ElevenLabs, spoken: list[bytes], interval: str) -> None:
    assert spoken
    now = int(time.time() * 1000)
    span = {"start_unix": now - 40 * 86_400_000, "end_unix": now + 60_000}
    stats = client.usage.get(**span, aggregation_interval=interval)
    assert sum(stats.usage["All"]) == sum(map(len, TEXTS))
    assert stats.time == sorted(stats.time)
    assert all(len(figures) == len(stats.time) for figures in stats.usage.values())
    by_voice = client.usage.get(**span, breakdown_type="voice", metric="request_count")
    assert {name: sum(values) for name, values in by_voice.usage.items()} == {str(ADA): 3.0}
    with pytest.raises(UnprocessableEntityError):
        client.usage.get(start_unix=now, end_unix=now - 1)


def test_the_account_and_its_quota_are_shown(
    client: ElevenLabs, account: Account, spoken: list[bytes]
) -> None:
    assert spoken
    user = client.user.get()
    assert user.user_id == str(account.id)
    subscription = client.user.subscription.get()
    assert subscription.character_count == sum(map(len, TEXTS))
    assert subscription.character_limit == QUOTA
    assert subscription.can_use_instant_voice_cloning
    assert subscription.next_character_count_reset_unix is not None
    assert subscription.next_character_count_reset_unix > time.time()
    assert user.subscription.character_count == subscription.character_count


def alias(written: str, spoken: str) -> Alias:
    return Alias(
        string_to_replace=written, alias=spoken, case_sensitive=False, word_boundaries=True
    )


def test_a_dictionary_is_made_changed_and_used(client: ElevenLabs) -> None:
    words = client.pronunciation_dictionaries
    made = words.create_from_rules(
        name="Names",
        rules=[
            alias("UN", "United Nations of the world"),
            Phoneme(
                string_to_replace="Siobhan",
                phoneme="ʃɪˈvɔːn",
                alphabet="ipa",
                case_sensitive=False,
                word_boundaries=True,
            ),
        ],
    )
    assert (made.version_id, made.version_rules_num) == ("1", 2)
    locator = {"pronunciation_dictionary_id": made.id, "version_id": made.version_id}
    plain, changed = (
        duration_of(
            b"".join(
                client.text_to_speech.convert(
                    str(ADA),
                    text="The UN.",
                    pronunciation_dictionary_locators=locators,  # type: ignore[arg-type]
                )
            )
        )
        for locators in ([], [locator])
    )
    assert changed > 1.5 * plain

    added = words.rules.add(made.id, rules=[alias("EU", "European Union"), alias("UN", "Union")])  # type: ignore[list-item]
    assert (added.version_id, added.version_rules_num) == ("2", 3)
    removed = words.rules.remove(made.id, rule_strings=["Siobhan", "unknown"])
    assert (removed.version_id, removed.version_rules_num) == ("3", 2)
    reset = words.rules.set(made.id, rules=[alias("USA", "America")])  # type: ignore[list-item]
    assert (reset.version_id, reset.version_rules_num) == ("4", 1)

    words.update(made.id, name="More names")
    shown = words.get(made.id)
    assert (shown.name, shown.latest_version_id) == ("More names", "4")
    assert [rule.string_to_replace for rule in shown.rules] == ["USA"]
    listed = words.list().pronunciation_dictionaries
    assert [(one.id, one.latest_version_rules_num) for one in listed] == [(made.id, 1)]
    old = b"".join(words.download(made.id, "1")).decode()
    assert "<grapheme>Siobhan</grapheme>" in old


def test_a_lexicon_makes_the_dictionary_that_it_was(client: ElevenLabs) -> None:
    words = client.pronunciation_dictionaries
    first = words.create_from_rules(name="One", rules=[alias("UN", "United Nations")])
    lexicon = b"".join(words.download(first.id, "1"))
    second = words.create_from_file(name="Two", file=("names.pls", lexicon, "application/pls+xml"))
    assert words.get(second.id).rules == words.get(first.id).rules
    with pytest.raises(UnprocessableEntityError):
        words.create_from_file(name="Two", file=("names.pls", b"<lexicon", "text/xml"))


def test_what_is_no_dictionary_is_refused(client: ElevenLabs, stack: Stack) -> None:
    words = client.pronunciation_dictionaries
    arpabet = Phoneme(
        string_to_replace="tomato",
        phoneme="T AH M EY T OW",
        alphabet="cmu-arpabet",
        case_sensitive=False,
        word_boundaries=True,
    )
    with pytest.raises(UnprocessableEntityError):
        words.create_from_rules(name="Names", rules=[arpabet])
    foreign = stack.gateway.add_dictionary(stack.gateway.register())["id"]
    for look in (
        lambda: words.get(foreign),
        lambda: words.rules.remove(foreign, rule_strings=["a"]),
        lambda: b"".join(words.download(foreign, "1")),
        lambda: words.get("nothing"),
    ):
        with pytest.raises(ApiError) as caught:
            look()
        assert caught.value.status_code == 404
