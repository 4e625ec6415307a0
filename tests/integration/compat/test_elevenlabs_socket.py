"""ElevenLabs' own Python SDK, unmodified, speaks a text as it is written, through TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from elevenlabs import ElevenLabs, VoiceSettings
from elevenlabs.core.api_error import ApiError

from tests.integration.api.gateway import Account
from tests.integration.compat.conftest import Stack
from tests.integration.compat.test_elevenlabs_speech import LONG, RACHEL, TEXT, lasts
from tests.integration.compat.tls import tls_in_front

# The SDK asks websockets by old names why a connection was closed.
pytestmark = pytest.mark.filterwarnings("ignore:ConnectionClosed.* is deprecated")


@pytest.fixture(scope="module")
def address(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    with tls_in_front(stack.url, tmp_path_factory.mktemp("tls")) as front:
        yield front


@pytest.fixture
def url(address: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SSL_CERT_FILE", str(address[1]))
    return address[0]


@pytest.fixture
def client(url: str, account: Account) -> Iterator[ElevenLabs]:
    with httpx.Client(timeout=60) as connection:
        yield ElevenLabs(base_url=url, api_key=account.key, httpx_client=connection)


def words_of(text: str) -> Iterator[str]:
    """As a language model writes it."""
    for word in text.split(" "):
        yield word + " "


@pytest.mark.parametrize("name", ["mp3_44100_128", "pcm_16000", "ulaw_8000", "opus_48000_64"])
def test_a_text_is_spoken_as_it_is_written(client: ElevenLabs, name: str) -> None:
    whole = b"".join(client.text_to_speech.convert(RACHEL, text=TEXT, output_format=name))
    spoken = b"".join(
        client.text_to_speech.convert_realtime(RACHEL, text=words_of(TEXT), output_format=name)
    )
    assert lasts(spoken, name) == pytest.approx(lasts(whole, name), rel=0.2)


def test_a_long_text_comes_in_many_parts_and_settings_count(client: ElevenLabs) -> None:
    slow, fast = (
        list(
            client.text_to_speech.convert_realtime(
                RACHEL,
                text=words_of(LONG),
                model_id="eleven_flash_v2_5",
                output_format="pcm_16000",
                voice_settings=VoiceSettings(speed=speed, stability=0.5),
            )
        )
        for speed in (0.7, 1.2)
    )
    assert len(slow) > 20
    assert len(b"".join(fast)) < 0.75 * len(b"".join(slow))


@pytest.mark.parametrize(
    ("voice", "key", "status"),
    [("nobody", None, "voice_not_found"), (RACHEL, "wrong", "invalid_api_key")],
)
def test_what_is_refused_is_the_sdks_error(
    url: str, account: Account, voice: str, key: str | None, status: str
) -> None:
    with httpx.Client() as connection, pytest.raises(ApiError) as caught:
        client = ElevenLabs(base_url=url, api_key=key or account.key, httpx_client=connection)
        list(client.text_to_speech.convert_realtime(voice, text=iter([TEXT])))
    assert caught.value.status_code == 1008
    assert status in str(caught.value.body)
