"""Audio for tests: tones, noise, something with the rhythm of speech, files of any codec."""

from __future__ import annotations

import io
from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt

from mynah.audio.waveform import Waveform


def tone(
    duration_s: float = 1.0, sample_rate: int = 24000, hz: float = 440.0, level: float = 0.5
) -> Waveform:
    time = np.arange(round(duration_s * sample_rate)) / sample_rate
    return Waveform((level * np.sin(2 * np.pi * hz * time)).astype(np.float32), sample_rate)


def stereo_tone(duration_s: float = 1.0, sample_rate: int = 24000) -> Waveform:
    left, right = tone(duration_s, sample_rate, 440.0), tone(duration_s, sample_rate, 660.0, 0.25)
    return Waveform(np.stack([left.samples, right.samples]), sample_rate)


def silence(duration_s: float = 1.0, sample_rate: int = 24000) -> Waveform:
    return Waveform(np.zeros(round(duration_s * sample_rate), np.float32), sample_rate)


def noise(duration_s: float = 1.0, sample_rate: int = 24000, rms: float = 0.1) -> Waveform:
    rng = np.random.default_rng(7)
    samples = rms * rng.standard_normal(round(duration_s * sample_rate))
    return Waveform(samples.astype(np.float32), sample_rate)


@lru_cache(maxsize=16)
def speech_like(
    duration_s: float = 10.0, sample_rate: int = 24000
) -> tuple[Waveform, npt.NDArray[np.bool_]]:
    """Voiced syllables in phrases with pauses between, and where it sounds (bool per sample).

    Harmonics of a gliding f0 under a formant-like envelope, some fricative noise, 4 syllables
    a second; phrases of 1.6 s, pauses of 0.6 s of digital silence. RMS while sounding: 0.1.
    """
    count = round(duration_s * sample_rate)
    time = np.arange(count) / sample_rate
    f0 = 120 + 25 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(f0) / sample_rate
    highest = int(min(5500, 0.45 * sample_rate) / 145)
    # The k-th harmonic is the imaginary part of the k-th power of the first.
    turn = np.exp(1j * phase).astype(np.complex64)
    power, voiced = np.ones_like(turn), np.zeros(count, np.float32)
    for k in range(1, highest + 1):
        power *= turn
        voiced += power.imag / k**1.2
    rng = np.random.default_rng(3)
    band = butter(2, [min(3000, 0.3 * sample_rate), 0.45 * sample_rate], "band", fs=sample_rate,
                  output="sos")  # fmt: skip
    fricative = sosfilt(band, rng.standard_normal(count))
    syllables = np.sin(np.pi * ((4 * time) % 1)) ** 0.5
    sounding = (time % 2.2) < 1.6
    bursts = 0.3 * fricative * (np.sin(2 * np.pi * 2 * time) > 0.6)
    samples = ((voiced + bursts) * syllables * sounding).astype(np.float32)
    samples *= 0.1 / np.sqrt(np.mean(np.square(samples[sounding])))
    samples.flags.writeable = sounding.flags.writeable = False  # the arrays are shared
    return Waveform(samples, sample_rate), sounding


def mixed_at_snr(speech: Waveform, sounding: npt.NDArray[np.bool_], snr_db: float) -> Waveform:
    """White noise added so that speech (while it sounds) lies ``snr_db`` above it."""
    power = float(np.mean(np.square(speech.samples[sounding])))
    rms = np.sqrt(power / 10 ** (snr_db / 10))
    hiss = noise(speech.duration_s, speech.sample_rate, float(rms))
    return Waveform(speech.samples + hiss.samples[: speech.frames], speech.sample_rate)


def av_file(waveform: Waveform, container: str, codec: str, bitrate_kbps: int = 96) -> bytes:
    """A file written by FFmpeg, as a phone or a browser would."""
    output = io.BytesIO()
    layout = "mono" if waveform.channels == 1 else "stereo"
    with av.open(output, "w", format=container) as file:
        stream = file.add_stream(codec, rate=waveform.sample_rate, layout=layout)
        stream.bit_rate = bitrate_kbps * 1000
        frame = av.AudioFrame.from_ndarray(
            np.atleast_2d(waveform.samples), format="fltp", layout=layout
        )
        frame.sample_rate = waveform.sample_rate
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout=layout, rate=waveform.sample_rate
        )
        fifo = av.AudioFifo()
        for converted in [*resampler.resample(frame), *resampler.resample(None)]:
            converted.pts = None
            fifo.write(converted)
        while (chunk := fifo.read(1024, partial=True)) is not None:
            file.mux(stream.encode(chunk))
        file.mux(stream.encode(None))
    return output.getvalue()


def decode_all(data: bytes, container: str | None = None) -> Waveform:
    """A file decoded by FFmpeg with nothing of ours in between."""
    with av.open(io.BytesIO(data), format=container) as file:
        frames = list(file.decode(audio=0))
        blocks = [frame.to_ndarray() for frame in frames]
        joined = np.concatenate(blocks, axis=1)
        if joined.dtype == np.int16:
            joined = joined.reshape(-1, frames[0].layout.nb_channels).T / 32768.0
        samples = np.ascontiguousarray(joined, dtype=np.float32)
        return Waveform(samples[0] if len(samples) == 1 else samples, frames[0].sample_rate)
