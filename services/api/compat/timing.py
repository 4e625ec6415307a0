"""Speech with the times of its characters, in ElevenLabs' shape: as a whole, or line by line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from mynah.contracts.speech import ScriptLine, SpeechRequest, SpokenWord
from mynah.db.models import Job
from mynah.errors import MynahError
from mynah.text.alignment import CharacterTimes, align_characters
from mynah.text.cleaning import clean_text
from mynah.text.subtitles import TimedWord
from services.api.bootstrap import Container
from services.api.live.connection import StreamCut
from services.api.use_cases.live_speech import LiveJob
from services.api.use_cases.speech import finished_output
from services.api.use_cases.subtitles import subtitles_of, timed_words

if TYPE_CHECKING:
    from services.api.live.live_job import SpokenPart
    from services.api.live.speech import StorySource

_DECIMALS = 4

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of a dialogue: its voice and characters."""

    voice_id: str
    start: int
    end: int


class PieceTimes:
    """The times of a text's characters, piece by piece in order. ``starts``: of the pieces in it.

    Each piece stands for what is written up to the next one; the first for what is before it.
    """

    def __init__(self, text: str, starts: Sequence[int]) -> None:
        self._text = text
        self._bounds = [0, *starts[1:], len(text)]
        self._done = 0

    def take(
        self, words: Sequence[TimedWord], start_s: float, end_s: float
    ) -> tuple[CharacterTimes, int]:
        """The next piece's times, and the place of its first character.

        ``words`` point into the text.
        """
        first, last = self._bounds[self._done : self._done + 2]
        self._done += 1
        placed = [
            replace(word, start=max(word.start - first, 0), end=max(word.end - first, 0))
            for word in words
        ]
        return align_characters(self._text[first:last], placed, start_s, end_s), first


class _Lines:
    """The lines of one text's speech, in which its pieces come in order."""

    def __init__(self, text: str, script: Sequence[ScriptLine], starts: Sequence[int]) -> None:
        self._inputs = _inputs_of(script)
        self._times = PieceTimes(text, starts)

    def sound(self, audio: bytes) -> bytes:
        """A line of audio alone."""
        return _line(_untimed(audio, is_dialogue=bool(self._inputs)))

    def piece(
        self, audio: bytes, words: Sequence[TimedWord], start_s: float, end_s: float
    ) -> bytes:
        """The line of the next piece: its times, with audio. ``words`` point into the text."""
        times, first = self._times.take(words, start_s, end_s)
        return _line(_document(audio, times, first, self._inputs))


class LiveLines:
    """A live job's parts as lines of JSON: audio as it is spoken, each piece's times at its end."""

    def __init__(self, job: LiveJob, script: Sequence[ScriptLine], sample_rate: int) -> None:
        self._lines = _Lines(job.text, script, [piece.source_start for piece in job.pieces])
        self._sample_rate = sample_rate
        self._frames = 0

    def show(self, data: bytes, part: SpokenPart | None) -> bytes:
        """The lines of a part, perhaps none. The times are those from the stream's start."""
        if part is None:
            return self._lines.sound(data) if data else b""
        self._frames += part.waveform.frames
        if part.words is None:
            return self._lines.sound(data) if data else b""
        start_s = part.start_frame / self._sample_rate
        words = spoken_words(part, start_s)
        return self._lines.piece(data, words, start_s, self._frames / self._sample_rate)


def spoken_words(part: SpokenPart, start_s: float) -> list[TimedWord]:
    """The words of a piece that was spoken, of which the first sound is at ``start_s``."""
    begun_s = start_s - part.lead_trimmed_s
    spoken = [SpokenWord.model_validate(one) for one in json.loads(part.words or "[]")]
    words = []
    for word in spoken:
        first_s, last_s = (max(start_s, begun_s + at_s) for at_s in (word.start_s, word.end_s))
        words.append(TimedWord(first_s, last_s, word.source_start, word.source_end))
    return words


def timed_document(container: Container, job: Job) -> Document:
    """A completed job's audio and times, as one document."""
    request = SpeechRequest.model_validate(job.request)
    audio = container.store.get(finished_output(job))
    with container.new_uow() as uow:
        words = [word for word, _ in subtitles_of(uow, job.user_id, job.id).words]
    times = align_characters(request.text, words, 0.0, job.actual_duration_s or 0.0)
    return _document(audio, times, 0, _inputs_of(request.script))


def story_lines(source: StorySource) -> Iterator[bytes]:
    """A story as it is spoken: a line of JSON for each piece, the times from the story's start.

    The first item is empty. Raises StreamCut as ``StorySource.stream`` does.
    """
    yield b""
    try:
        yield from _story_lines(source)
    except MynahError as error:
        raise StreamCut(error.code) from error


def _story_lines(source: StorySource) -> Iterator[bytes]:
    with source.new_uow() as uow:
        request = SpeechRequest.model_validate(uow.jobs.by_id(source.job_id).request)
        starts = [piece.source_start for piece in uow.pieces.of_job(source.job_id)]
    lines = _Lines(request.text, request.script, starts)
    encoder, assembler = source.form.encoder(), source.assembler()
    start, done = source.form.start(), 0
    for block in source.blocks(assembler):
        audio, start = start + encoder.encode(block), b""
        if len(assembler.spans) == done:  # of the finished file, behind the pieces
            yield lines.sound(audio)
            continue
        with source.new_uow() as uow:
            piece = uow.pieces.numbered(source.job_id, done)
            words = timed_words([asdict(assembler.spans[done])], [piece])
        begin_s = assembler.spans[done].start_s if done else 0.0
        yield lines.piece(audio, words, begin_s, begin_s + block.frames / block.sample_rate)
        done += 1
    yield lines.sound(start + encoder.flush())


def _inputs_of(script: Sequence[ScriptLine]) -> list[_Input]:
    """Where each input's characters lie in the request's text."""
    inputs, start = [], 0
    for line in script:
        end = start + len(clean_text(line.text))
        inputs.append(_Input(str(line.voice_id), start, end))
        start = end + 1  # a line feed lies between them
    return inputs


def _document(
    audio: bytes, times: CharacterTimes, first: int, inputs: Sequence[_Input]
) -> Document:
    """``first``: the place in the text of the first character of ``times``."""
    alignment = {
        "characters": times.characters,
        "character_start_times_seconds": _rounded(times.starts_s),
        "character_end_times_seconds": _rounded(times.ends_s),
    }
    document: Document = {
        "audio_base64": base64.b64encode(audio).decode(),
        "alignment": alignment,
        "normalized_alignment": alignment,
    }
    if inputs:
        document["voice_segments"] = _segments(times, first, inputs)
    return document


def _untimed(audio: bytes, *, is_dialogue: bool) -> Document:
    document: Document = {
        "audio_base64": base64.b64encode(audio).decode(),
        "alignment": None,
        "normalized_alignment": None,
    }
    return {**document, "voice_segments": []} if is_dialogue else document


def _line(document: Document) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _segments(times: CharacterTimes, first: int, inputs: Sequence[_Input]) -> list[Document]:
    """The inputs that are heard in these times; indices count these times' characters."""
    found = []
    for index, part in enumerate(inputs):
        start = max(part.start - first, 0)
        end = min(part.end - first, len(times.characters))
        if start < end:
            segment = {
                "voice_id": part.voice_id,
                "start_time_seconds": round(times.starts_s[start], _DECIMALS),
                "end_time_seconds": round(times.ends_s[end - 1], _DECIMALS),
                "character_start_index": start,
                "character_end_index": end,
                "dialogue_input_index": index,
            }
            found.append(segment)
    return found


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(moment, _DECIMALS) for moment in seconds]
