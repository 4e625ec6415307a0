"""Resampling, loudness, joining and the quality score."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.audio.assembly import SpeechAssembler
from mynah.audio.joining import GUARD_MS, fade_edges, trim_silence
from mynah.audio.levelling import SegmentLeveller, WeightedSpeech
from mynah.audio.loudness import (
    LoudnessMeter,
    TruePeakMeter,
    apply_gain,
    limit_peaks,
    measure_loudness,
    normalize_loudness,
    true_peak,
)
from mynah.audio.quality import SpeechMeasures, SpeechMeter, score_speech
from mynah.audio.resample import StreamResampler, resample
from mynah.audio.waveform import Waveform
from tests.unit.audio.signals import noise, silence, speech_like, stereo_tone, tone

# Resampling


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 4000), max_size=8),
    st.sampled_from([(24000, 16000), (22000, 22050), (44100, 48000), (48000, 8000)]),
)
def test_a_stream_of_blocks_resamples_like_the_whole(
    cuts: list[int], rates: tuple[int, int]
) -> None:
    source, target = rates
    samples = noise(1.0, 48000).samples[: sum(cuts)]
    stream = StreamResampler(source, target)
    edges = np.cumsum(cuts)[:-1] if cuts else []
    parts = [stream.process(Waveform(part, source)) for part in np.split(samples, edges)]
    joined = np.concatenate([part.samples for part in [*parts, stream.flush()]])
    whole = resample(Waveform(samples, source), target)
    assert joined.shape == whole.samples.shape
    assert abs(len(joined) - len(samples) * target / source) <= 1
    assert np.allclose(joined, whole.samples, atol=1e-5)


def test_resampling_keeps_channels_and_tones() -> None:
    stereo = resample(stereo_tone(1.0, 44100), 24000)
    assert (stereo.channels, stereo.frames, stereo.sample_rate) == (2, 24000, 24000)
    direct = stereo_tone(1.0, 24000)
    assert np.abs(stereo.samples[:, 500:-500] - direct.samples[:, 500:-500]).max() < 1e-3
    same = tone()
    assert resample(same, same.sample_rate) is same


def test_a_block_of_another_layout_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected 1 channel"):
        StreamResampler(24000, 16000).process(stereo_tone(0.1))


# Loudness


@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
def test_loudness_agrees_with_the_reference_implementation(rate: int) -> None:
    speech, _ = speech_like(8.0, rate)
    reference = pyloudnorm.Meter(rate, filter_class="DeMan")
    expected = reference.integrated_loudness(speech.samples.astype(np.float64))
    assert measure_loudness(speech) == pytest.approx(expected, abs=0.05)


def test_a_full_scale_sine_reads_as_the_standard_says() -> None:
    assert measure_loudness(tone(3.0, 48000, 997.0, 1.0)) == pytest.approx(-3.01, abs=0.02)
    both = Waveform(np.stack([tone(3.0, 48000, 997.0, 1.0).samples] * 2), 48000)
    assert measure_loudness(both) == pytest.approx(0.0, abs=0.02)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=6))
def test_loudness_does_not_depend_on_the_blocks(cuts: list[int]) -> None:
    samples = noise(3.0).samples
    meter = LoudnessMeter(24000)
    edges = np.cumsum(cuts)
    for part in np.split(samples, edges[edges < len(samples)]):
        meter.add(Waveform(part, 24000))
    assert meter.loudness_lufs() == pytest.approx(measure_loudness(noise(3.0)), abs=1e-6)


def test_silent_and_very_short_audio_are_safe() -> None:
    assert measure_loudness(silence()) is None
    assert measure_loudness(Waveform(np.zeros(0, np.float32), 24000)) is None
    assert measure_loudness(tone(0.2)) == pytest.approx(measure_loudness(tone(5.0)), abs=0.5)
    quiet = silence()
    assert normalize_loudness(quiet) is quiet


@pytest.mark.parametrize("level", [0.05, 0.3, 1.0])
def test_speech_is_brought_to_the_target(level: float) -> None:
    speech, _ = speech_like(8.0, 24000)
    levelled = normalize_loudness(Waveform(speech.samples * np.float32(level), 24000))
    assert measure_loudness(levelled) == pytest.approx(-18.0, abs=0.3)
    assert true_peak(levelled.samples) <= 10 ** (-0.95 / 20)


def test_true_peak_sees_between_the_samples() -> None:
    time = np.arange(4800)
    hidden = np.sin(2 * np.pi * time / 4 + np.pi / 4).astype(np.float32)
    assert np.abs(hidden).max() == pytest.approx(0.707, abs=0.001)
    assert true_peak(hidden) == pytest.approx(1.0, abs=0.02)
    limited = limit_peaks(Waveform(hidden, 48000))
    assert true_peak(limited.samples) <= 10 ** (-0.95 / 20)


@settings(max_examples=20, deadline=None)
@given(st.floats(-10, 40), st.integers(1, 30_000))
def test_no_gain_drives_a_peak_above_the_ceiling(gain_db: float, frames: int) -> None:
    waveform = Waveform(noise(2.0, rms=0.05).samples[:frames], 24000)
    louder = apply_gain(waveform, gain_db)
    assert louder.frames == frames
    assert np.abs(louder.samples).max() <= 10 ** (-0.95 / 20)


def test_limiting_leaves_what_is_below_the_ceiling_alone() -> None:
    quiet = tone(1.0, level=0.3)
    assert limit_peaks(quiet) is quiet
    burst = tone(1.0, level=0.3).samples.copy()
    burst[12000:12100] *= 4
    limited = limit_peaks(Waveform(burst, 24000)).samples
    assert np.abs(limited).max() <= 10 ** (-1 / 20) + 1e-3
    assert (limited[:11000] == burst[:11000]).all()
    assert (limited[13000:] == burst[13000:]).all()
    stereo = Waveform(np.stack([burst, burst * 0.1]), 24000)
    assert limit_peaks(stereo).samples.shape == (2, 24000)


@pytest.mark.parametrize("sound", [noise(3.0), speech_like(3.0)[0], tone(3.0, 48000, 11_997.0)])
def test_the_true_peak_of_a_stream_is_that_of_the_whole(sound: Waveform) -> None:
    meter = TruePeakMeter()
    for part in np.array_split(sound.samples, 7):
        meter.add(part)
    meter.add(sound.samples[:0])
    assert meter.true_peak == pytest.approx(true_peak(sound.samples), rel=2e-3)
    assert meter.sample_peak == np.abs(sound.samples).max()


def level(leveller: SegmentLeveller, speech: Waveform) -> float:
    """The loudness that a segment comes out with."""
    levelled = leveller.level(WeightedSpeech.of(speech)).waveform
    assert true_peak(levelled.samples) <= 10 ** (-1.9 / 20)
    return measure_loudness(levelled) or 0.0


def test_segments_of_a_second_or_more_come_out_at_the_target() -> None:
    speech, _ = speech_like(8.0, 24000)
    leveller = SegmentLeveller()
    for factor in (0.05, 1.0, 0.5, 3.0):
        louder = Waveform(speech.samples * np.float32(factor), 24000)
        assert level(leveller, louder) == pytest.approx(-17.9, abs=0.15)
    short = Waveform(speech.samples[:26000], 24000)
    assert level(leveller, short) == pytest.approx(-17.6, abs=0.15)


@pytest.mark.parametrize("factor", [0.25, 0.97, 1.0, 1.03, 4.0])
def test_a_short_segment_keeps_its_gain_within_a_third_of_a_unit(factor: float) -> None:
    speech, _ = speech_like(8.0, 24000)
    leveller = SegmentLeveller()
    before = level(leveller, speech)
    word = Waveform(speech.samples[:9600], 24000)
    natural = before + (measure_loudness(word) or 0) - (measure_loudness(speech) or 0)
    scaled = Waveform(word.samples * np.float32(factor), 24000)
    expected = np.clip(natural + 20 * np.log10(factor), -17.6 - 0.3, -17.6 + 0.3)
    assert level(leveller, scaled) == pytest.approx(expected, abs=0.15)


def test_the_first_short_segment_comes_out_at_the_target() -> None:
    word = Waveform(speech_like(8.0, 24000)[0].samples[:9600], 24000)
    assert level(SegmentLeveller(), word) == pytest.approx(-17.6, abs=0.15)


def test_peaks_that_are_limited_do_not_cost_loudness() -> None:
    rng = np.random.default_rng(5)
    peaky = 0.02 * rng.standard_normal(96000) * (1 + 12 * (rng.random(96000) > 0.999))
    segment = Waveform(peaky.astype(np.float32), 24000)
    assert level(SegmentLeveller(-14.0), segment) == pytest.approx(-14.0, abs=0.3)


# Joining


def padded(before_s: float, speech: Waveform, after_s: float) -> Waveform:
    parts = [silence(before_s, speech.sample_rate).samples, speech.samples]
    parts.append(silence(after_s, speech.sample_rate).samples)
    return Waveform(np.concatenate(parts), speech.sample_rate)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0.1, 0.6), st.floats(0, 1))
def test_silence_is_trimmed_to_the_guard(before: float, sound: float, after: float) -> None:
    segment = padded(before, tone(sound), after)
    trimmed = trim_silence(segment)
    expected = sound + min(before, GUARD_MS / 1000) + min(after, GUARD_MS / 1000)
    assert trimmed.duration_s == pytest.approx(expected, abs=0.021)


def test_soft_endings_stay() -> None:
    fading = tone(1.0).samples * np.linspace(1, 0.02, 24000, dtype=np.float32)
    trimmed = trim_silence(padded(0.5, Waveform(fading, 24000), 0.5))
    assert trimmed.duration_s >= 1.0


@pytest.mark.parametrize("nothing", [silence(), Waveform(np.zeros(0, np.float32), 24000)])
def test_silence_trims_to_nothing(nothing: Waveform) -> None:
    assert trim_silence(nothing).frames == 0


def test_a_soft_fricative_after_a_silence_is_speech() -> None:
    rng = np.random.default_rng(2)
    vowel = tone(0.5, level=0.05)
    fricative = (0.05 / np.sqrt(2) * 10 ** (-38 / 20)) * rng.standard_normal(4800)
    word = [vowel.samples, np.zeros(1920, np.float32), fricative.astype(np.float32)]
    trimmed = trim_silence(padded(0.3, Waveform(np.concatenate(word), 24000), 0.3))
    assert trimmed.duration_s == pytest.approx(0.04 + 0.5 + 0.08 + 0.2 + 0.04, abs=0.011)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 0.5), st.integers(0, 900)), min_size=1, max_size=6))
def test_a_stream_is_as_long_as_its_parts_and_pauses(parts: list[tuple[float, int]]) -> None:
    assembler = SpeechAssembler()
    segments = [(tone(duration), pause) for duration, pause in parts]
    joined = sum(assembler.add(segment, pause).frames for segment, pause in segments)
    spoken = sum(trim_silence(segment).frames for segment, _ in segments)
    assert joined == spoken + sum(round(24 * pause) for _, pause in parts)


def test_joins_do_not_click() -> None:
    loud = Waveform(np.full(12000, 0.1, np.float32), 24000)
    hum = Waveform(loud.samples + 0.1 * tone(0.5, hz=120).samples, 24000)
    assembler = SpeechAssembler()
    blocks = [assembler.add(hum, pause).samples for pause in (0, 200, 0)]
    joined = np.concatenate(blocks)
    assert abs(joined[0]) < 0.01
    inside = np.abs(np.diff(blocks[0][400:-400])).max()
    assert np.abs(np.diff(joined)).max() < max(inside, 0.02)


def test_joins_of_speech_step_no_more_than_speech_itself() -> None:
    speech, _ = speech_like(6.0, 24000)
    assembler = SpeechAssembler()
    cuts = [speech.samples[start : start + 21_000] for start in range(0, 84_000, 21_000)]
    joined = np.concatenate([assembler.add(Waveform(cut, 24000), 0).samples for cut in cuts])
    steps = np.abs(np.diff(joined))
    joins = [round(span.start_s * 24000) for span in assembler.spans[1:]]
    at_joins = max(steps[join - 24 : join + 24].max() for join in joins)
    assert at_joins <= np.percentile(steps[steps > 1e-4], 99)
    # Nor is there a burst: 10 ms around a join are no louder than speech.
    power = [np.mean(np.square(joined[join - 120 : join + 120])) for join in joins]
    assert max(power) <= np.percentile(np.square(joined[: 240 * 200].reshape(-1, 240)).mean(1), 95)


def test_a_fade_never_outgrows_its_audio() -> None:
    tiny = Waveform(np.ones(3, np.float32), 24000)
    assert fade_edges(tiny).samples[1] == 1.0
    assert fade_edges(Waveform(tiny.samples[:1], 24000)).frames == 1


def test_segments_of_another_rate_and_stereo_join_in() -> None:
    assembler = SpeechAssembler()
    first = assembler.add(tone(1.0, 24000), 100)
    second = assembler.add(stereo_tone(1.0, 48000), 0)
    assert (first.sample_rate, second.sample_rate, second.channels) == (24000, 24000, 1)
    assert assembler.spans[0].end_s == pytest.approx(1.0, abs=0.01)
    assert assembler.spans[1].start_s == pytest.approx(1.1, abs=0.01)
    assert assembler.spans[1].end_s == pytest.approx(2.1, abs=0.01)
    with pytest.raises(ValueError, match="negative"):
        assembler.add(tone(), -1)
    with pytest.raises(RuntimeError):
        SpeechAssembler().measures()


@pytest.mark.parametrize("sample_rate", [16000, 24000, 44100])
def test_a_moment_of_a_segment_is_found_in_the_stream(sample_rate: int) -> None:
    click = tone(0.4, 24000).samples.copy()
    click[4800:4848] = 0.95
    assembler = SpeechAssembler(sample_rate=sample_rate)
    lead_s = (0.5, 0.013, 1.217)
    blocks = [
        assembler.add(padded(lead, Waveform(click, 24000), 0.3), 250).samples for lead in lead_s
    ]
    joined = np.concatenate(blocks)
    for lead, span in zip(lead_s, assembler.spans, strict=True):
        at = span.start_s + (lead + 0.2) - span.lead_trimmed_s
        begin, end = round(span.start_s * sample_rate), round(span.end_s * sample_rate)
        found = begin + int(np.argmax(np.abs(joined[begin:end])))
        assert found / sample_rate == pytest.approx(at + 0.001, abs=0.003)


def test_the_stream_so_far_does_not_depend_on_what_follows() -> None:
    speech, _ = speech_like(6.0, 24000)
    first, second = SpeechAssembler(), SpeechAssembler()
    for assembler, factor in ((first, 1.0), (second, 0.1)):
        assembler.add(speech, 100)
        assembler.add(Waveform(speech.samples[:20_000] * np.float32(factor), 24000), 100)
    again = [SpeechAssembler().add(speech, 100).samples for _ in range(2)]
    assert (again[0] == again[1]).all()
    assert first.spans == second.spans


def test_a_story_on_two_channels_is_as_loud_as_on_one() -> None:
    speech, _ = speech_like(6.0, 24000)
    assembler = SpeechAssembler(channels=2)
    block = assembler.add(speech, 100)
    assert block.channels == 2
    assert (block.samples[0] == block.samples[1]).all()
    measures = assembler.measures()
    assert measure_loudness(block) == pytest.approx(-18.0, abs=0.2)
    assert measures.loudness_lufs == pytest.approx(-18.0, abs=0.2)
    assert measures.peak_dbfs == pytest.approx(20 * np.log10(np.abs(block.samples).max()), abs=0.1)


def test_the_measures_are_those_of_the_stream() -> None:
    speech, _ = speech_like(6.0, 24000)
    assembler, meter = SpeechAssembler(), SpeechMeter(24000)
    for factor in (1.0, 0.2, 2.0):
        louder = Waveform(speech.samples * np.float32(factor), 24000)
        meter.add(assembler.add(louder, 430))
    one, other = assembler.measures(), meter.measures()
    assert one.loudness_lufs == pytest.approx(other.loudness_lufs, abs=0.05)
    assert one.peak_dbfs == other.peak_dbfs
    assert one.silence_share == pytest.approx(other.silence_share, abs=0.001)


def test_a_silent_segment_leaves_its_pause() -> None:
    assembler = SpeechAssembler()
    assert assembler.add(silence(), 300).frames == 7200
    assert assembler.spans[0].start_s == assembler.spans[0].end_s == 0.0
    assert assembler.measures().loudness_lufs is None


# The score

PLAIN = SpeechMeasures(
    duration_s=10.0, loudness_lufs=-18.0, peak_dbfs=-1.0, clipping_share=0.0, silence_share=0.2
)


def test_plain_speech_scores_one() -> None:
    assert score_speech(PLAIN, 140) == 1.0
    speech, _ = speech_like(8.0, 24000)
    meter = SpeechMeter(24000)
    meter.add(normalize_loudness(speech))
    assert meter.measures().silence_share == pytest.approx(0.27, abs=0.1)
    assert score_speech(meter.measures(), 110) == 1.0


@pytest.mark.parametrize(
    ("measures", "characters"),
    [
        (SpeechMeasures(10.0, None, None, 0.0, 1.0), 140),
        (SpeechMeasures(0.0, None, None, 0.0, 0.0), 140),
        (SpeechMeasures(10.0, -18.0, 0.0, 0.05, 0.2), 140),
        (SpeechMeasures(10.0, -45.0, -30.0, 0.0, 0.2), 140),
        (SpeechMeasures(10.0, -18.0, -1.0, 0.0, 0.97), 140),
        (PLAIN, 10),
        (PLAIN, 1400),
        (PLAIN, 0),
    ],
)
def test_one_bad_fault_is_enough(measures: SpeechMeasures, characters: int) -> None:
    assert score_speech(measures, characters) == 0.0


def test_the_meter_adds_up_over_blocks() -> None:
    samples = np.concatenate([tone(1.0).samples, silence(1.0).samples, np.ones(100, np.float32)])
    whole, parts = SpeechMeter(24000), SpeechMeter(24000)
    whole.add(Waveform(samples, 24000))
    for part in np.split(samples, [4800, 24000, 30000]):
        parts.add(Waveform(part, 24000))
    parts.add(Waveform(samples[:0], 24000))
    one, other = whole.measures(), parts.measures()
    assert one.clipping_share == other.clipping_share == pytest.approx(100 / 48100)
    assert one.silence_share == pytest.approx(other.silence_share, abs=0.02)
    assert one.duration_s == other.duration_s
    assert SpeechMeter(24000).measures().loudness_lufs is None
