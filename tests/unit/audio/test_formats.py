"""What formats allow, and G.711 against the ITU's own arithmetic."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from mynah.audio.formats import FORMATS, OutputLayout, OutputSpec, nearest_bitrate_kbps
from mynah.audio.g711 import Law, decode_g711, encode_g711
from mynah.contracts.speech import CONTENT_TYPES, OutputFormat, SpeechRequest
from mynah.errors import UnsupportedFormat

VOICE = UUID("01890000-0000-7000-8000-000000000000")


def test_every_format_has_its_rules_and_its_type() -> None:
    assert set(FORMATS) == set(CONTENT_TYPES) == set(OutputFormat)


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"bitrate_kbps": 100}, "unsupported_bitrate"),
        ({"bitrate_kbps": 0}, "unsupported_bitrate"),
        ({"bitrate_kbps": 320, "sample_rate": 24000}, "unsupported_bitrate"),
        ({"bitrate_kbps": 96, "sample_rate": 8000}, "unsupported_bitrate"),
        ({"sample_rate": 96000}, "unsupported_sample_rate"),
        ({"sample_rate": 0}, "unsupported_sample_rate"),
        ({"channels": 3}, "unsupported_channels"),
        ({"channels": 0}, "unsupported_channels"),
        ({"vbr_quality": 10}, "unsupported_vbr"),
        ({"vbr_quality": -1}, "unsupported_vbr"),
        ({"format": OutputFormat.WAV, "bitrate_kbps": 96}, "unsupported_bitrate"),
        ({"format": OutputFormat.FLAC, "vbr_quality": 2}, "unsupported_vbr"),
        ({"format": OutputFormat.OPUS, "sample_rate": 44100}, "unsupported_sample_rate"),
        ({"format": OutputFormat.OPUS, "bitrate_kbps": 5}, "unsupported_bitrate"),
        ({"format": OutputFormat.OPUS, "bitrate_kbps": 512, "channels": 1}, "unsupported_bitrate"),
        ({"format": OutputFormat.M4A, "bitrate_kbps": 96, "sample_rate": 8000, "channels": 1},
         "unsupported_bitrate"),
        ({"format": OutputFormat.OGG, "bitrate_kbps": 500}, "unsupported_bitrate"),
        ({"format": OutputFormat.ULAW, "sample_rate": 16000}, "unsupported_sample_rate"),
        ({"format": OutputFormat.ALAW, "channels": 2}, "unsupported_channels"),
    ],
)  # fmt: skip
def test_what_a_format_does_not_allow_is_refused_by_name(wish: dict[str, int], code: str) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        OutputSpec(**wish)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.status == 422


def test_an_unknown_format_is_refused_and_aac_is_m4a() -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        OutputSpec.by_name("aiff")
    assert caught.value.code == "unsupported_format"
    assert OutputSpec.by_name("aac", 64) == OutputSpec(OutputFormat.M4A, 64)
    assert OutputSpec.by_name("aac").format is OutputFormat.M4A


@pytest.mark.parametrize(
    ("spec", "source", "expected"),
    [
        (OutputSpec(), (22050, 1), (22050, 1, 96)),
        (OutputSpec(), (22000, 2), (22050, 2, 96)),
        (OutputSpec(bitrate_kbps=320), (24000, 1), (32000, 1, 320)),
        (OutputSpec(sample_rate=8000), (24000, 1), (8000, 1, 64)),
        (OutputSpec(channels=2), (24000, 1), (24000, 2, 96)),
        (OutputSpec(OutputFormat.OPUS), (22050, 1), (24000, 1, 48)),
        (OutputSpec(OutputFormat.OPUS), (44100, 6), (48000, 1, 48)),
        (OutputSpec(OutputFormat.M4A, 160), (24000, 1), (32000, 1, 160)),
        (OutputSpec(OutputFormat.M4B), (8000, 1), (8000, 1, 48)),
        (OutputSpec(OutputFormat.WAV), (23000, 1), (24000, 1, None)),
        (OutputSpec(OutputFormat.ULAW), (24000, 2), (8000, 1, None)),
    ],
)
def test_what_is_left_open_follows_the_audio(
    spec: OutputSpec, source: tuple[int, int], expected: tuple[int, int, int | None]
) -> None:
    layout = spec.resolve(*source)
    assert (layout.sample_rate, layout.channels, layout.bitrate_kbps) == expected
    assert spec.resolve(layout.sample_rate, layout.channels) == layout


def test_each_layout_has_one_name() -> None:
    assert OutputSpec().resolve(24000, 1).name == "mp3-24000hz-1ch-96k"
    wishes = [OutputSpec(bitrate_kbps=bitrate, vbr_quality=4) for bitrate in (None, 64)]
    assert {wish.resolve(22050, 1).name for wish in wishes} == {"mp3-22050hz-1ch-v4"}
    layouts = {
        OutputSpec(fmt, sample_rate=rate, channels=channels).resolve(24000, 1)
        for fmt in (OutputFormat.WAV, OutputFormat.M4A)
        for rate in (None, 8000, 24000)
        for channels in (None, 1, 2)
    }
    assert len(layouts) == len({layout.name for layout in layouts}) == 8


def test_a_finished_job_is_known_by_its_request() -> None:
    common = {"text": "Hi.", "voice_id": VOICE, "language": "en", "engine": "espeak"}
    request = SpeechRequest(**common, bitrate_kbps=64)
    made = OutputLayout.of_output(request, OutputFormat.MP3, 22050, 1)
    assert made == OutputSpec(bitrate_kbps=64).resolve(22050, 1)
    fallback = OutputLayout.of_output(request, OutputFormat.WAV, 22050, 1)
    assert fallback == OutputSpec(OutputFormat.WAV).resolve(22050, 1)


def test_a_quality_tier_becomes_the_nearest_legal_bitrate() -> None:
    assert nearest_bitrate_kbps(OutputFormat.MP3, 96, 8000) == 64
    assert nearest_bitrate_kbps(OutputFormat.MP3, 96) == 96
    assert nearest_bitrate_kbps(OutputFormat.M4A, 96, 8000, 1) == 48
    assert nearest_bitrate_kbps(OutputFormat.WAV, 96) is None


def test_a_requests_bitrate_counts_where_the_format_has_bitrates() -> None:
    common = {"text": "Hi.", "voice_id": VOICE, "language": "en", "engine": "espeak"}
    for fmt, bitrate in ((OutputFormat.MP3, 64), (OutputFormat.FLAC, None)):
        request = SpeechRequest(**common, output_format=fmt, bitrate_kbps=64, sample_rate=16000)
        assert OutputSpec.of_request(request) == OutputSpec(fmt, bitrate, None, 16000, 1)


def g191_ulaw(sample: int) -> int:
    """``ulaw_compress`` of ITU-T G.191."""
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment = 1 + (magnitude >> 6).bit_length()
    code = (8 - segment) << 4 | 0xF - (magnitude >> segment & 0xF)
    return code | 0x80 if sample >= 0 else code


def g191_alaw(sample: int) -> int:
    """``alaw_compress`` of ITU-T G.191."""
    magnitude = (~sample if sample < 0 else sample) >> 4
    if magnitude > 15:
        exponent = 1
        while magnitude > 31:
            magnitude >>= 1
            exponent += 1
        magnitude = magnitude - 16 + (exponent << 4)
    return (magnitude | 0x80 if sample >= 0 else magnitude) ^ 0x55


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_g711_is_exact_for_every_sample(law: Law) -> None:
    pcm = np.arange(-32768, 32768).astype(np.int16)
    reference = g191_ulaw if law == "ulaw" else g191_alaw
    assert encode_g711(pcm, law) == bytes(map(reference, pcm.tolist()))


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_every_g711_code_survives_decoding_and_encoding(law: Law) -> None:
    codes = bytes(range(256))
    values = decode_g711(codes, law)
    again = decode_g711(encode_g711(values, law), law)
    assert (again == values).all()
    assert len(set(values.tolist())) == (255 if law == "ulaw" else 256)
    assert (int(values.min()), int(values.max())) == (
        (-32124, 32124) if law == "ulaw" else (-32256, 32256)
    )
