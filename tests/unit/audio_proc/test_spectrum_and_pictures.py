from __future__ import annotations

import json
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest

from mynah.audio.speech_activity import SpeechActivity
from mynah.audio.waveform import Waveform
from services.audio_proc.peaks import draw_outline, outline_png, outline_svg, peaks_json
from services.audio_proc.png import encode_png
from services.audio_proc.spectrogram import draw_spectrogram
from services.audio_proc.spectrum import SpectrumSurvey, band_levels, survey_spectrum
from tests.unit.audio.signals import noise, silence, stereo_tone, tone


def survey(waveform: Waveform, columns: int = 1) -> SpectrumSurvey:
    nobody = SpeechActivity(np.zeros(round(waveform.duration_s * 100), bool))
    found = survey_spectrum(waveform, nobody, columns)
    assert found is not None
    return found


def read_png(data: bytes) -> npt.NDArray[np.uint8]:
    """The colours of a picture, ``(height, width, 3)``, read by the book."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    position = 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        chunks[kind] = body
        position += 12 + length
    width, height, *kinds = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kinds == [8, 3, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    colours: npt.NDArray[np.uint8] = palette[rows[:, 1:]]
    return colours


@pytest.mark.parametrize("hz", [250, 1000, 4000])
def test_a_tones_power_lies_in_its_band(hz: int) -> None:
    levels = {band.hz: band.level_dbfs for band in band_levels(survey(tone(2.0, 48000, hz, 0.5)))}
    assert levels[hz] == pytest.approx(-9.03, abs=0.3)  # the mean square of a sine of 0.5
    assert max(level for band, level in levels.items() if band != hz) < levels[hz] - 6


def test_white_noise_gains_a_decibel_per_third_and_its_power_is_all_there() -> None:
    found = survey(noise(20.0, 48000, 0.1))
    assert 10 * np.log10(found.everything.sum()) == pytest.approx(-20.0, abs=0.1)
    levels = [band.level_dbfs for band in band_levels(found) if 500 <= band.hz <= 16000]
    assert np.diff(levels) == pytest.approx(1.0, abs=0.5)


def test_bands_have_their_usual_names_and_end_below_half_the_rate() -> None:
    names = [band.hz for band in band_levels(survey(noise(1.0, 16000)))]
    assert names == [
        63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500,
        3150, 4000, 5000, 6300,
    ]  # fmt: skip


def test_columns_follow_the_time() -> None:
    two = Waveform(
        np.concatenate([tone(1.0, 16000, 500.0).samples, tone(1.0, 16000, 3000.0).samples]), 16000
    )
    found = survey(two, columns=10)
    loudest = found.frequencies[found.columns.argmax(axis=1)]
    assert loudest == pytest.approx([500] * 5 + [3000] * 5, abs=40)


def test_the_spectrogram_shows_a_tone_at_its_height() -> None:
    picture = draw_spectrogram(survey(tone(2.0, 16000, 2000.0, 0.5), 64), 320, 160)
    colours = read_png(picture.png).sum(axis=2, dtype=int)
    assert colours.shape == (160, 320)
    assert picture.highest_hz == 8000
    assert abs(int(colours[:, 100].argmax()) - 160 * 3 // 4) <= 2  # 2 of 8 kHz, from below


@pytest.mark.parametrize("duration_s", [0.05, 0.5, 20.0])
def test_pictures_have_the_size_that_was_asked_for(duration_s: float) -> None:
    waveform = tone(duration_s, 44100)
    picture = draw_spectrogram(survey(waveform, 300), 300, 100)
    assert read_png(picture.png).shape == (100, 300, 3)
    outline = draw_outline(waveform, 300)
    assert read_png(outline_png(outline, 80)).shape == (80, 300, 3)
    assert 'viewBox="0 0 300 80"' in outline_svg(outline, 80).decode()


def test_the_outline_follows_the_level() -> None:
    steps = Waveform(
        np.concatenate(
            [silence(1.0).samples, tone(1.0, level=0.5).samples, tone(1.0, level=1.0).samples]
        ),
        24000,
    )
    outline = draw_outline(steps, 30)
    assert outline.highest[:10] == pytest.approx(0.0)
    assert outline.highest[11:19] == pytest.approx(0.5, abs=0.01)
    assert outline.lowest[21:] == pytest.approx(-1.0, abs=0.01)
    assert outline.level[21:] == pytest.approx(0.707, abs=0.01)
    is_ink = (read_png(outline_png(outline, 101)) != 0xFF).any(axis=2).sum(axis=0)
    assert is_ink[5] <= 3
    assert is_ink[15] == pytest.approx(51, abs=3)
    assert is_ink[25] == pytest.approx(101, abs=3)


def test_the_svg_is_one_closed_path() -> None:
    root = ElementTree.fromstring(outline_svg(draw_outline(tone(), 50), 40))
    path = root.find("{http://www.w3.org/2000/svg}path")
    assert path is not None
    assert path.get("d", "").count(",") == 100
    assert path.get("d", "").endswith("Z")


def test_peaks_are_those_of_audiowaveform() -> None:
    stereo = stereo_tone(1.0, 24000)
    document = json.loads(peaks_json(stereo, 20))
    assert {key: document[key] for key in document if key != "data"} == {
        "version": 2,
        "channels": 2,
        "sample_rate": 24000,
        "samples_per_pixel": 1200,
        "bits": 8,
        "length": 20,
    }
    pairs = np.array(document["data"]).reshape(20, 2, 2)  # pixel, channel, lowest and highest
    assert pairs[:, 0].tolist() == [[-64, 64]] * 20
    assert pairs[:, 1].tolist() == [[-32, 32]] * 20


def test_peaks_of_full_scale_and_of_nothing_fit_eight_bits() -> None:
    loud = Waveform(np.array([1.5, -1.5, 1.0, -1.0], np.float32), 4)
    assert json.loads(peaks_json(loud, 1))["data"] == [-128, 127]
    assert json.loads(peaks_json(silence(0.0), 20))["data"] == []


def test_an_encoded_picture_is_the_picture() -> None:
    palette = np.arange(30, dtype=np.uint8).reshape(10, 3)
    pixels = np.random.default_rng(0).integers(0, 10, (7, 5)).astype(np.uint8)
    assert (read_png(encode_png(pixels, palette)) == palette[pixels]).all()
