from __future__ import annotations

import io
import struct

import av
import numpy as np
import pytest
import soundfile

from mynah.audio.av_frames import FrameBatcher
from mynah.audio.mp3 import Mp3Encoder, encode_mp3
from mynah.audio.tags import SpeechTags
from mynah.audio.wav import encode_wav, wav_header
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio
from services.audio_proc.decoding import DecodingLimits, decode_recording
from tests.unit.audio.signals import av_file, noise, stereo_tone, tone

LIMITS = DecodingLimits(max_duration_s=60.0, max_bytes=100_000_000)


def soundfile_bytes(waveform: Waveform, container: str, subtype: str) -> bytes:
    output = io.BytesIO()
    soundfile.write(
        output, waveform.samples.T, waveform.sample_rate, format=container, subtype=subtype
    )
    return output.getvalue()


def spectrum_peak_hz(waveform: Waveform) -> float:
    mono = waveform.to_mono()
    spectrum = np.abs(np.fft.rfft(mono.samples * np.hanning(mono.frames)))
    return float(np.argmax(spectrum)) * mono.sample_rate / mono.frames


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [("PCM_U8", 0.02), ("PCM_16", 1e-4), ("PCM_24", 1e-6), ("PCM_32", 1e-6), ("FLOAT", 1e-7),
     ("DOUBLE", 1e-7), ("ULAW", 0.05), ("ALAW", 0.05), ("IMA_ADPCM", 0.2), ("MS_ADPCM", 0.2)],
)  # fmt: skip
def test_wav_of_every_encoding_keeps_its_samples(subtype: str, tolerance: float) -> None:
    original = tone(0.5, 44100)
    decoded = decode_recording(soundfile_bytes(original, "WAV", subtype), LIMITS)
    assert (decoded.container, decoded.waveform.sample_rate) == ("wav", 44100)
    frames = original.frames
    assert frames <= decoded.waveform.frames < frames + 4096
    assert np.abs(decoded.waveform.samples[:frames] - original.samples).max() < tolerance
    assert decoded.damaged_share == 0


@pytest.mark.parametrize(
    ("container", "codec", "rate", "expected"),
    [
        ("mp3", "libmp3lame", 44100, "mp3"),
        ("ipod", "aac", 44100, "mov"),
        ("mp4", "aac", 48000, "mov"),
        ("adts", "aac", 32000, "aac"),
        ("webm", "libopus", 48000, "matroska"),
        ("ogg", "libopus", 48000, "ogg"),
        ("flac", "flac", 22050, "flac"),
        ("matroska", "flac", 48000, "matroska"),
        ("ipod", "alac", 44100, "mov"),
        ("aiff", "pcm_s16be", 44100, "aiff"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_each_container_is_recognised_by_content(
    container: str, codec: str, rate: int, expected: str, channels: int
) -> None:
    original = tone(1.0, rate) if channels == 1 else stereo_tone(1.0, rate)
    decoded = decode_recording(av_file(original, container, codec), LIMITS)
    assert decoded.container == expected
    assert decoded.waveform.channels == channels
    assert decoded.waveform.sample_rate == rate
    assert decoded.waveform.duration_s == pytest.approx(1.0, abs=0.07)
    assert spectrum_peak_hz(decoded.waveform) == pytest.approx(440, abs=2)


def test_ogg_vorbis_decodes() -> None:
    decoded = decode_recording(soundfile_bytes(tone(0.5), "OGG", "VORBIS"), LIMITS)
    assert decoded.codec == "vorbis"
    # FFmpeg is off by up to one Vorbis block at the end of a short file.
    assert decoded.waveform.frames == pytest.approx(12000, abs=512)


def test_only_the_sound_of_a_video_is_taken() -> None:
    output = io.BytesIO()
    with av.open(output, "w", format="mp4") as file:
        video = file.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = file.add_stream("aac", rate=44100, layout="mono")
        for _ in range(25):
            image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            file.mux(video.encode(image))
        frame = av.AudioFrame.from_ndarray(tone(1, 44100).samples[None], "fltp", "mono")
        frame.sample_rate = 44100
        file.mux(audio.encode(frame))
        file.mux(video.encode(None))
        file.mux(audio.encode(None))
    decoded = decode_recording(output.getvalue(), LIMITS)
    assert decoded.codec == "aac"
    assert spectrum_peak_hz(decoded.waveform) == pytest.approx(440, abs=2)


def test_a_video_without_sound_is_not_audio() -> None:
    output = io.BytesIO()
    with av.open(output, "w", format="mp4") as file:
        video = file.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        file.mux(video.encode(image))
        file.mux(video.encode(None))
    assert refusal(output.getvalue()) == "not_audio"


def test_a_tagged_mp3_decodes() -> None:
    data = encode_mp3(tone(), 128, tags=SpeechTags(title="Größe", comment="x" * 900))
    decoded = decode_recording(data, LIMITS)
    assert (decoded.codec, decoded.waveform.frames) == ("mp3float", 24000)


def test_an_mp3_stream_that_begins_within_a_frame_decodes() -> None:
    encoder = Mp3Encoder(24000)
    frames = encoder.encode(tone(2.0)) + encoder.flush()
    decoded = decode_recording(frames[100:], LIMITS)
    assert decoded.waveform.duration_s == pytest.approx(2.0, abs=0.1)


def refusal(data: bytes, limits: DecodingLimits = LIMITS) -> str:
    with pytest.raises(InvalidAudio) as caught:
        decode_recording(data, limits)
    return caught.value.code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_audio"),
        (b"This is a letter, not a song. " * 100, "not_audio"),
        ("Ein Brief mit Umlauten: äöü ÿþ. ".encode("utf-16") * 100, "not_audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "not_audio"),
        (b"%PDF-1.7\n" + bytes(2000), "not_audio"),
        (bytes(5000), "not_audio"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "not_audio"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "not_audio"),
        (b"#!AMR\n" + bytes(2000), "unsupported_format"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "corrupt_audio"),
        (b"\0\0\0\x20ftypM4A " + bytes(500), "corrupt_audio"),
        (b"OggS" + bytes(500), "corrupt_audio"),
        (b"fLaC" + bytes(500), "corrupt_audio"),
        (b"\x1aE\xdf\xa3" + bytes(500), "corrupt_audio"),
        (b"ID3\x04\0\0\0\0\0\x0a" + bytes(20), "corrupt_audio"),
        (wav_header(24000, 1, 0), "empty_audio"),
    ],
)
def test_what_is_no_recording_is_refused_by_name(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_random_bytes_are_refused() -> None:
    for seed in range(20):
        data = np.random.default_rng(seed).bytes(50_000)
        assert refusal(data) in ("not_audio", "corrupt_audio")


def test_a_truncated_file_gives_what_is_there() -> None:
    hiss = noise(4.0)
    for data in (encode_mp3(hiss), encode_wav(hiss), av_file(hiss, "flac", "flac")):
        decoded = decode_recording(data[: len(data) // 2], LIMITS)
        assert decoded.waveform.duration_s == pytest.approx(2.0, abs=0.3)


def test_an_m4a_that_lost_its_index_is_corrupt() -> None:
    data = av_file(tone(4.0, 44100), "ipod", "aac")
    assert data.index(b"moov") > data.index(b"mdat")
    assert refusal(data[: len(data) // 2]) == "corrupt_audio"


def test_mostly_broken_packets_are_corrupt() -> None:
    data = bytearray(av_file(noise(4.0, 44100), "ipod", "aac"))
    start = data.index(b"mdat") + 8
    end = data.index(b"moov") - 4
    data[start:end] = np.random.default_rng(1).bytes(end - start)
    assert refusal(bytes(data)) == "corrupt_audio"


def test_some_broken_packets_are_left_out_and_reported() -> None:
    data = bytearray(av_file(noise(4.0, 24000), "flac", "flac"))
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    decoded = decode_recording(bytes(data), LIMITS)
    assert 0 <= decoded.damaged_share < 0.2
    assert 3.0 < decoded.waveform.duration_s <= 4.1


def test_the_limits_hold_on_what_comes_out_not_on_the_header() -> None:
    long = av_file(tone(5.0), "flac", "flac")
    assert refusal(long, DecodingLimits(4.0, 10**9)) == "too_long"
    assert refusal(long, DecodingLimits(60.0, 5 * 24000 * 4 - 1)) == "too_long"
    assert decode_recording(long, DecodingLimits(5.0, 5 * 24000 * 4)).waveform.frames == 120_000
    lying = bytearray(encode_wav(tone(5.0)))
    struct.pack_into("<I", lying, 40, 0xFFFFFFFF)
    assert refusal(bytes(lying), DecodingLimits(4.0, 10**9)) == "too_long"


def test_too_short_and_too_many_channels_are_refused() -> None:
    assert refusal(encode_wav(tone(0.05))) == "too_short"
    many = Waveform(np.full((10, 24000), 0.1, np.float32), 24000)
    assert refusal(encode_wav(many)) == "unsupported_format"


def test_an_absurd_rate_is_refused() -> None:
    data = bytearray(encode_wav(tone()))
    struct.pack_into("<I", data, 24, 4_000_000)
    assert refusal(bytes(data)) in ("unsupported_format", "corrupt_audio")


@pytest.mark.parametrize("layout", ["mono", "5.1", "7.1", "hexadecagonal", "22.2"])
@pytest.mark.parametrize("sample_format", ["fltp", "flt", "s16p", "s16"])
def test_frames_of_many_channels_are_read_where_they_are(layout: str, sample_format: str) -> None:
    """PyAV's own ``to_ndarray`` reads planes that do not exist; a damaged file can bring it."""
    frame = av.AudioFrame(format=sample_format, layout=layout, samples=512)
    channels = frame.layout.nb_channels
    for plane in frame.planes[: channels if frame.format.is_planar else 1]:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate = 48000
    batcher = FrameBatcher()
    assert batcher.add(frame) is None
    block = batcher.flush()
    assert block is not None
    assert block.samples.shape == (channels, 512)
    assert not block.samples.any()


def test_damaged_files_are_decoded_or_refused_never_worse() -> None:
    originals = (
        encode_mp3(noise(0.5)),
        soundfile_bytes(noise(0.5), "WAV", "PCM_24"),
        av_file(noise(0.5, 44100), "ipod", "aac"),
        av_file(noise(0.5, 44100), "adts", "aac"),
        av_file(noise(0.5, 48000), "webm", "libopus"),
        av_file(noise(0.5), "flac", "flac"),
    )
    rng = np.random.default_rng(5)
    for turn in range(120):
        data = bytearray(originals[turn % len(originals)])
        reach = len(data) if turn % 2 else min(len(data), 400)
        for place in rng.integers(0, reach, 20):
            data[place] = rng.integers(256)
        try:
            waveform = decode_recording(bytes(data), LIMITS).waveform
        except InvalidAudio:
            continue
        assert np.isfinite(waveform.samples).all()


def test_nan_and_infinity_become_silence() -> None:
    samples = tone().samples.copy()
    samples[100], samples[200], samples[300] = np.nan, np.inf, -np.inf
    output = io.BytesIO()
    soundfile.write(output, samples, 24000, format="WAV", subtype="FLOAT")
    decoded = decode_recording(output.getvalue(), LIMITS).waveform
    assert np.isfinite(decoded.samples).all()
    assert decoded.samples[[100, 200, 300]].tolist() == [0.0, 0.0, 0.0]


def test_another_codec_in_a_known_container_is_unsupported() -> None:
    assert refusal(av_file(tone(1.0, 44100), "matroska", "ac3")) == "unsupported_format"
