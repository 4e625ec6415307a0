from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import mutagen.mp3
import numpy as np
import pytest

from mynah.audio.conversions import (
    convert_audio_file_to_mp3,
    stitch_mp3_chunks,
    tensor_to_audiosegment,
    tensor_to_mp3_bytes,
    tensor_to_waveform,
)
from mynah.audio.mp3 import encode_mp3
from mynah.audio.tags import SpeechTags
from mynah.audio.wav import encode_wav
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio
from tests.unit.audio.signals import av_file, decode_all, stereo_tone, tone


class FakeTensor:
    """What torch's tensors offer, as far as it is used."""

    def __init__(self, array: np.ndarray, is_detached: bool = False) -> None:
        self._array = array
        self._is_detached = is_detached

    def detach(self) -> FakeTensor:
        return FakeTensor(self._array, is_detached=True)

    def cpu(self) -> FakeTensor:
        return self

    def numpy(self) -> np.ndarray:
        assert self._is_detached
        return self._array


@pytest.mark.parametrize("wrap", [FakeTensor, np.asarray])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tensors_and_arrays_of_every_shape_become_mp3(wrap: Any, dtype: Any) -> None:
    mono = tone().samples.astype(dtype)
    for array, channels in ((mono, 1), (mono[None], 1), (np.stack([mono, mono]), 2)):
        data = tensor_to_mp3_bytes(wrap(array), 24000, 128, SpeechTags(title="Hallo"))
        info = mutagen.mp3.MP3(io.BytesIO(data)).info
        assert (info.channels, info.bitrate) == (channels, 128_000)
        assert info.length == pytest.approx(1.0, abs=1e-4)


def test_int16_and_unfinished_numbers_are_taken() -> None:
    pcm = np.array([0, 16384, -32768], np.int16)
    assert tensor_to_waveform(pcm, 8000).samples.tolist() == [0.0, 0.5, -1.0]
    broken = np.array([np.nan, np.inf, -np.inf, 0.5])
    assert tensor_to_waveform(broken, 8000).samples.tolist() == [0.0, 0.0, 0.0, 0.5]


@pytest.mark.parametrize("array", [np.zeros((1, 2, 3)), np.float32(1.0), np.zeros(4, np.int64)])
def test_other_shapes_and_types_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        tensor_to_waveform(array, 24000)


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated", "ignore:Couldn't find ffmpeg")
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_an_audiosegment_holds_the_same_samples() -> None:
    segment = tensor_to_audiosegment(stereo_tone(0.5).samples, 24000)
    assert (segment.channels, segment.frame_rate, segment.sample_width) == (2, 24000, 2)
    assert len(segment) == 500
    assert segment.raw_data == stereo_tone(0.5).to_pcm16()


def test_a_missing_pydub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydub", None)
    with pytest.raises(ImportError, match="pip install pydub"):
        tensor_to_audiosegment(tone().samples, 24000)


def test_files_of_all_kinds_become_mp3(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(encode_wav(tone(2.0)))
    m4a = av_file(tone(2.0, 44100), "ipod", "aac")
    for source in (path, str(path), m4a, io.BytesIO(m4a)):
        info = mutagen.mp3.MP3(io.BytesIO(convert_audio_file_to_mp3(source, 160))).info
        assert info.bitrate == 160_000
        assert info.length == pytest.approx(2.0, abs=0.05)
    with pytest.raises(InvalidAudio):
        convert_audio_file_to_mp3(b"no audio")
    assert list(tmp_path.iterdir()) == [path]


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "other.wav"
    secret.write_bytes(encode_wav(tone()))
    for text in (f"ffconcat version 1.0\nfile '{secret}'\n", f"#EXTM3U\n#EXTINF:1,\n{secret}\n"):
        with pytest.raises(InvalidAudio):
            convert_audio_file_to_mp3(text.encode())


def test_stitched_chunks_have_no_gap_and_no_drift() -> None:
    long = tone(3.0, hz=400.0)  # whole periods per second: the phase goes on over the joins
    chunks = [encode_mp3(Waveform(part, 24000), 128) for part in np.split(long.samples, 3)]
    stitched = decode_all(stitch_mp3_chunks(chunks, 128), "mp3")
    assert stitched.frames == long.frames
    around_joins = np.r_[23000:25000, 47000:49000]
    assert np.abs(stitched.samples[around_joins] - long.samples[around_joins]).max() < 0.1
    assert decode_all(b"".join(chunks), "mp3").frames > long.frames


def test_chunks_of_other_layouts_are_stitched_too() -> None:
    chunks = [encode_mp3(stereo_tone(1.0, 44100), 128), encode_mp3(tone(1.0, 24000), 64)]
    stitched = decode_all(stitch_mp3_chunks(chunks), "mp3")
    assert (stitched.channels, stitched.sample_rate) == (2, 44100)
    assert stitched.duration_s == pytest.approx(2.0, abs=0.01)
    mono_first = decode_all(stitch_mp3_chunks(chunks[::-1]), "mp3")
    assert (mono_first.channels, mono_first.sample_rate) == (1, 24000)


def test_a_broken_chunk_is_named() -> None:
    with pytest.raises(InvalidAudio):
        stitch_mp3_chunks([encode_mp3(tone()), b"broken"])
    with pytest.raises(InvalidAudio):
        stitch_mp3_chunks([])
