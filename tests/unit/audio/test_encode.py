"""Every format from blocks to a file and back, and what happens when an encoder fails."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import mutagen
import mutagen.mp3
import numpy as np
import pytest

from mynah.audio.encode import EncodedAudio, encode_file
from mynah.audio.finished import check_output, iter_file_blocks
from mynah.audio.formats import FORMATS, OutputSpec
from mynah.audio.loudness import measure_loudness
from mynah.audio.mp3 import Mp3FileWriter
from mynah.audio.tags import Chapter, SpeechTags
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import CONTENT_TYPES, OutputFormat
from mynah.errors import InvalidAudio, OutputRejected, StorageUnavailable
from tests.unit.audio.signals import decode_all, noise, silence, speech_like, stereo_tone, tone

LOSSLESS = (OutputFormat.WAV, OutputFormat.FLAC, OutputFormat.PCM)
WRONG = r"lasts|does not decode"
CHAPTERS = (Chapter(0, "Eins"), Chapter(2.5, "Zwei: ü"), Chapter(4.001, "Drei"))


def made(*args: Any, **options: Any) -> EncodedAudio:
    return encode_file(*args, **options).in_memory()


def checked(audio: EncodedAudio) -> float | None:
    return check_output(audio.file, audio.layout, audio.duration_s)


def decoded(audio: EncodedAudio) -> Waveform:
    blocks = list(iter_file_blocks(audio.file, audio.layout))
    samples = np.concatenate([block.samples for block in blocks], axis=-1)
    return Waveform(samples, blocks[0].sample_rate)


@pytest.mark.parametrize("fmt", OutputFormat)
@pytest.mark.parametrize("duration_s", [0.2, 2.517, 7.3])
def test_each_format_holds_the_audio_at_its_length_and_place(
    fmt: OutputFormat, duration_s: float
) -> None:
    speech, _ = speech_like(8.0, 24000)
    cut = Waveform(speech.samples[: round(duration_s * 24000)], 24000)
    halves = [Waveform(part, 24000) for part in np.array_split(cut.samples, 2)]
    with encode_file(halves, OutputSpec(fmt), SpeechTags(title="Abend")) as audio:
        assert (audio.format, audio.content_type) == (fmt, CONTENT_TYPES[fmt])
        assert audio.duration_s == pytest.approx(cut.duration_s, abs=1e-4)
        assert audio.fallback_reason is None
        assert audio.encode_s > 0
        checked(audio)
        if duration_s > 5:  # beside which headers count for nothing
            estimate = audio.layout.bytes_per_s * duration_s
            assert 0.5 < estimate / audio.size_bytes < 2
        found = decoded(audio)
        # FFmpeg cannot tell the end of an OGG file of a single page.
        is_one_page = fmt is OutputFormat.OGG and duration_s < 1
        assert found.duration_s == pytest.approx(cut.duration_s, abs=4e-3 if is_one_page else 1e-4)
        if fmt in LOSSLESS:
            assert np.abs(found.samples - cut.samples).max() < 1e-4
        elif found.sample_rate == cut.sample_rate and duration_s > 1:
            correlation = np.corrcoef(found.samples, cut.samples)[0, 1]
            assert correlation > 0.98


@pytest.mark.parametrize("fmt", [fmt for fmt, rules in FORMATS.items() if rules.has_tags])
def test_players_read_length_title_and_chapters(fmt: OutputFormat) -> None:
    speech, _ = speech_like(5.3, 24000)
    tags = SpeechTags(title="Bärin & Söhne", artist="Ada", album="Abends")
    with encode_file([speech], OutputSpec(fmt), tags, chapters=lambda: CHAPTERS) as audio:
        data = audio.data
    with av.open(io.BytesIO(data)) as container:
        metadata = {**container.streams[0].metadata, **container.metadata}
        found = [
            (float(chapter["start"] * chapter["time_base"]), chapter["metadata"]["title"])
            for chapter in container.chapters()
        ]
        assert (container.duration or 0) / 1e6 == pytest.approx(5.3, abs=0.01)
    assert (metadata["title"], metadata["artist"], metadata["album"]) == (
        tags.title,
        "Ada",
        "Abends",
    )
    expected = CHAPTERS if FORMATS[fmt].has_chapters else ()
    assert found == [(pytest.approx(one.start_s, abs=1e-3), one.title) for one in expected]
    assert mutagen.File(io.BytesIO(data)).info.length == pytest.approx(5.3, abs=0.05)


def test_an_audio_book_has_the_chapters_of_quicktime_and_of_nero() -> None:
    with encode_file(
        [speech_like(5.3, 24000)[0]], OutputSpec(OutputFormat.M4B), chapters=lambda: CHAPTERS
    ) as audio:
        data = audio.data
    assert data[4:12] == b"ftypM4B "
    assert data.find(b"moov") < data.find(b"mdat")
    assert b"chpl" in data
    assert (data.count(b"trak"), data.count(b"chap")) == (2, 1)  # the audio refers to a text track
    moov, mdat = data[data.find(b"moov") : data.find(b"mdat")], data[data.find(b"mdat") :]
    for chapter in CHAPTERS:
        title = chapter.title.encode()
        assert bytes((len(title),)) + title in moov
        assert len(title).to_bytes(2, "big") + title in mdat


@pytest.mark.parametrize(
    ("spec", "rate", "channels"),
    [
        (OutputSpec(OutputFormat.MP3, 64, sample_rate=16000), 16000, 1),
        (OutputSpec(OutputFormat.MP3, 320), 32000, 1),
        (OutputSpec(OutputFormat.WAV, sample_rate=48000, channels=2), 48000, 2),
        (OutputSpec(OutputFormat.FLAC, sample_rate=11025), 11025, 1),
        (OutputSpec(OutputFormat.OGG, 32, sample_rate=44100, channels=2), 44100, 2),
        (OutputSpec(OutputFormat.OPUS, 24, channels=2), 48000, 2),
        (OutputSpec(OutputFormat.M4A, 64, sample_rate=44100), 44100, 1),
        (OutputSpec(OutputFormat.PCM, sample_rate=8000, channels=2), 8000, 2),
        (OutputSpec(OutputFormat.ULAW), 8000, 1),
        (OutputSpec(OutputFormat.ALAW), 8000, 1),
    ],
)
def test_rate_and_channels_are_as_asked_and_the_loudness_stays(
    spec: OutputSpec, rate: int, channels: int
) -> None:
    speech, _ = speech_like(6.0, 24000)
    with encode_file([speech], spec, headroom_db=2.0) as audio:
        found = decoded(audio)
    assert (found.sample_rate, found.channels) == (rate, channels)
    assert found.duration_s == pytest.approx(6.0, abs=1e-3)
    assert measure_loudness(found) == pytest.approx(measure_loudness(speech), abs=0.3)


@pytest.mark.parametrize("bitrate", [64, 96, 128, 160, 320])
def test_an_mp3_has_the_asked_bitrate_and_is_small(bitrate: int) -> None:
    audio = made([noise(5.0)], OutputSpec(bitrate_kbps=bitrate))
    assert audio.bitrate_kbps == bitrate
    assert mutagen.mp3.MP3(io.BytesIO(audio.data)).info.bitrate == bitrate * 1000
    assert audio.size_bytes * 8 / 5 / 1000 == pytest.approx(bitrate, rel=0.05)
    assert audio.saved_share == pytest.approx(1 - bitrate / 1411.2, abs=0.02)


def test_a_variable_bitrate_reports_its_mean() -> None:
    audio = made([tone(3.0)], OutputSpec(vbr_quality=4))
    assert 8 <= audio.bitrate_kbps <= 64
    assert audio.bitrate_kbps == round(audio.size_bytes * 8 / 3 / 1000)


@pytest.mark.parametrize("step", ["__init__", "add", "finish"])
def test_a_failing_mp3_encoder_falls_back_to_wav(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("LAME is unwell")

    monkeypatch.setattr(Mp3FileWriter, step, fail)
    blocks = [tone(1.0), noise(1.0)]
    audio = made(blocks, OutputSpec())
    assert (audio.format, audio.content_type) == ("wav", "audio/wav")
    assert audio.fallback_reason == "mp3 encoding failed (RuntimeError: LAME is unwell)"
    assert audio.bitrate_kbps == 384
    found = decode_all(audio.data)
    expected = np.concatenate([block.samples for block in blocks])
    assert np.abs(found.samples - np.clip(expected, -1, 1)).max() < 1e-4


def test_an_mp3_encoder_that_fails_midway_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole_add = Mp3FileWriter.add
    calls = 0

    def fail_later(self: Mp3FileWriter, block: Waveform) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise MemoryError
        whole_add(self, block)

    monkeypatch.setattr(Mp3FileWriter, "add", fail_later)
    audio = made([tone(0.5)] * 5, OutputSpec())
    assert (audio.format, audio.duration_s, calls) == ("wav", 2.5, 3)
    checked(audio)


def test_blocks_that_come_only_once_cannot_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Mp3FileWriter, "finish", fail)
    with pytest.raises(OutputRejected, match="mp3 encoding failed"):
        made(iter([tone()]), OutputSpec())


def test_errors_of_the_blocks_pass_through() -> None:
    def blocks() -> Iterator[Waveform]:
        yield tone()
        raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        made(blocks(), OutputSpec())


def test_mistakes_of_the_caller_do_not_become_a_wav() -> None:
    with pytest.raises(ValueError, match="one sample rate"):
        made([tone(), tone(1.0, 16000)], OutputSpec())
    for nothing in ([], [Waveform(np.zeros(0, np.float32), 24000)]):
        for fmt in OutputFormat:
            with pytest.raises(InvalidAudio):
                made(nothing, OutputSpec(fmt))


def test_many_channels_become_one() -> None:
    surround = Waveform(np.stack([tone().samples] * 6), 24000)
    for fmt, rules in FORMATS.items():
        assert made([surround], OutputSpec(fmt)).layout.channels == 1
        stereo = made([stereo_tone()], OutputSpec(fmt))
        assert stereo.layout.channels == rules.max_channels


@pytest.mark.parametrize("fmt", OutputFormat)
def test_an_output_that_is_wrong_is_rejected(fmt: OutputFormat) -> None:
    good = made([noise(5.0)], OutputSpec(fmt))
    check_output(good.file, good.layout, 5.05)
    with pytest.raises(OutputRejected, match="lasts"):
        check_output(good.file, good.layout, 6.0)
    half = io.BytesIO(good.data[: good.size_bytes // 2])
    with pytest.raises(OutputRejected, match=WRONG):
        check_output(half, good.layout, 5.0)
    with pytest.raises(OutputRejected, match="silent"):
        quiet = made([silence(5.0)], OutputSpec(fmt))
        check_output(quiet.file, quiet.layout, 5.0)
    for garbage in (b"", b"not audio at all" * 100):
        with pytest.raises(OutputRejected, match=WRONG):
            check_output(io.BytesIO(garbage), good.layout, 5.0)


def test_an_mp3_with_a_damaged_middle_is_rejected() -> None:
    audio = made([noise(5.0)], OutputSpec())
    data = bytearray(audio.data)
    middle = len(data) // 2
    data[middle : middle + 20_000] = np.random.default_rng(0).bytes(20_000)
    with pytest.raises(OutputRejected):
        check_output(io.BytesIO(bytes(data)), audio.layout, 5.0)


def test_length_is_judged_relative_to_long_audio() -> None:
    audio = made([tone(30.0, 8000)], OutputSpec(OutputFormat.WAV))
    check_output(audio.file, audio.layout, 30.25)
    with pytest.raises(OutputRejected):
        check_output(audio.file, audio.layout, 31.0)


def test_the_check_tells_the_true_peak() -> None:
    hidden = np.sin(2 * np.pi * np.arange(24000) / 4 + np.pi / 4).astype(np.float32) * 0.5
    audio = made([Waveform(hidden, 24000)], OutputSpec(OutputFormat.WAV))
    assert checked(audio) == pytest.approx(20 * np.log10(0.5), abs=0.2)
