"""A studio for the tests of voices, and a recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from mynah.audio.wav import encode_wav
from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile
from mynah.engines.espeak import engine
from mynah.engines.espeak.profile import build_profile
from tests.integration.voices.studio import Studio, open_studio, speak
from tests.parts import RedisPart

#: A Redis database of its own: nobody takes these messages.
REDIS_DATABASE = 10


@pytest.fixture(scope="session", autouse=True)
def remembered_profiles() -> Iterator[None]:
    """Derive each profile once: the same recording gives the same profile, after seconds."""
    known: dict[tuple[bytes, ...], Profile] = {}

    def build_once(samples: Sequence[Waveform], language: str) -> Profile:
        heard = (language.encode(), *(sample.samples.tobytes() for sample in samples))
        if heard not in known:
            known[heard] = build_profile(samples, language)
        return known[heard]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "build_profile", build_once)
        yield


@pytest.fixture(scope="session")
def speech() -> Waveform:
    """About ten seconds of speech."""
    return speak()


@pytest.fixture(scope="session")
def recording(speech: Waveform) -> bytes:
    """The speech as WAV."""
    return encode_wav(speech)


@pytest.fixture(scope="module")
def building(
    module_database: str, redis: RedisPart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """The gateway and its workers on a database and a store of the module's own."""
    with redis.client(REDIS_DATABASE) as client:
        client.flushdb()
    folder = tmp_path_factory.mktemp("objects")
    with open_studio(module_database, redis.url(REDIS_DATABASE), folder) as opened:
        yield opened


@pytest.fixture
def studio(building: Studio) -> Iterator[Studio]:
    """The studio for an account that has nothing yet."""
    with building.for_one_test() as own:
        yield own
