"""How near a cloned eSpeak voice comes to its speaker.

    python -m bench.similarity RECORDINGS_DIR

Splits the recordings of one person in two halves by turns: the profile is made from one half,
the other is only compared with. Prints the cosine similarity of speaker embeddings (resemblyzer,
its weights come with the package) of plain and of shaped speech, and of the person with
themselves. Intelligibility is the word error rate of pocketsphinx on both.

Needs requirements/bench-similarity.txt; ``make bench-similarity RECORDINGS=…`` installs it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from pocketsphinx import Decoder
from resemblyzer import VoiceEncoder, preprocess_wav

from bench.report import print_machine, print_row, print_title
from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile, SpeechEngine, SynthesisSettings
from mynah.engines.registry import load_engine
from mynah.recognition.error_rates import edit_distance

SENTENCES = (
    "Once upon a time there lived a kind old gardener who talked to his tomatoes.",
    "It was raining when the train arrived and nobody wanted to leave the warm carriage.",
    "The museum opens at nine and children under twelve go in for free.",
    "My brother bought three green apples and a loaf of bread this morning.",
)
PLAIN_VOICES = ("en-us", "en-us+f2", "en-us+f3")
SHAPED = SynthesisSettings(similarity=1.0)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    folder = parser.parse_args().recordings
    recordings = [
        _load(path) for path in sorted(folder.glob("*.flac")) + sorted(folder.glob("*.wav"))
    ]
    if len(recordings) < 2:
        print("The folder needs two recordings or more (FLAC or WAV).", file=sys.stderr)
        return 1
    print_machine()
    encoder = VoiceEncoder("cpu", verbose=False)
    engine = load_engine("espeak")
    for number in (0, 1):
        print_title(f"Half {number + 1}: profile from {len(recordings[number::2])} recordings")
        _measure_half(encoder, engine, recordings[number::2], recordings[1 - number :: 2])
    return 0


def _measure_half(
    encoder: Any, engine: SpeechEngine, known: Sequence[Waveform], held_out: Sequence[Waveform]
) -> None:
    person = _embed(encoder, held_out)
    print_row("the person with themselves", f"{person @ _embed(encoder, known):.3f}")
    for name in PLAIN_VOICES:
        spoken = _speak(engine, engine.builtin_profile(name, "en-us"))
        print_row(f"plain {name}", f"{person @ _embed(encoder, spoken):.3f}")
        print_row(f"plain {name}: word error rate", f"{_word_error_rate(spoken):.0%}")
    profile = engine.prepare_profile(known, "en-us")
    shaped = _speak(engine, profile)
    label = f"shaped (variant {profile.meta['variant'] or 'default'})"
    print_row(label, f"{person @ _embed(encoder, shaped):.3f}", ">= 0.75, aim 0.85")
    print_row("shaped: word error rate", f"{_word_error_rate(shaped):.0%}")


def _speak(engine: SpeechEngine, profile: Profile) -> list[Waveform]:
    spoken = []
    for sentence in SENTENCES:
        blocks = engine.synthesize(sentence, profile, SHAPED)
        samples = np.concatenate([block.waveform.samples for block in blocks])
        spoken.append(Waveform(samples, engine.info.sample_rate))
    return spoken


def _embed(encoder: Any, waveforms: Sequence[Waveform]) -> Any:
    """The mean speaker embedding, shape (256,), of length 1."""
    vectors = [
        encoder.embed_utterance(
            preprocess_wav(one.samples.astype(np.float64), source_sr=one.sample_rate)
        )
        for one in waveforms
    ]
    mean = np.mean(vectors, axis=0)
    return mean / np.linalg.norm(mean)


def _word_error_rate(spoken: Sequence[Waveform]) -> float:
    errors = words = 0
    for sentence, waveform in zip(SENTENCES, spoken, strict=True):
        decoder = Decoder(samprate=16000, loglevel="FATAL")
        decoder.start_utt()
        decoder.process_raw(resample(waveform, 16000).to_pcm16(), full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp().hypstr.split() if decoder.hyp() else []
        wanted = re.findall(r"[a-z']+", sentence.lower())
        errors += edit_distance(wanted, heard)
        words += len(wanted)
    return errors / words


def _load(path: Path) -> Waveform:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return Waveform(np.ascontiguousarray(samples.T), rate).to_mono()


if __name__ == "__main__":
    sys.exit(main())
