"""Speech with the times of its characters, in ElevenLabs' shape: as a whole, or line by line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mynah.contracts.speech import SpeechRequest
from mynah.db.models import Job
from mynah.errors import MynahError
from mynah.text.alignment import CharacterTimes, align_characters
from mynah.text.cleaning import clean_text
from mynah.text.subtitles import TimedWord
from services.api.bootstrap import Container
from services.api.live.connection import StreamCut
from services.api.use_cases.speech import finished_output
from services.api.use_cases.subtitles import subtitles_of, timed_words

if TYPE_CHECKING:
    from services.api.live.speech import StorySource

_DECIMALS = 4

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of a dialogue, or all of a single speaker's text: its voice and characters."""

    voice_id: str
    start: int
    end: int


def timed_document(container: Container, job: Job) -> Document:
    """A completed job's audio and times, as one document."""
    request = SpeechRequest.model_validate(job.request)
    key = finished_output(job)
    audio = b"".join(container.store.iter_range(key, 0, container.store.stat(key).size_bytes))
    with container.new_uow() as uow:
        words = [word for word, _ in subtitles_of(uow, job.user_id, job.id).words]
    times = align_characters(request.text, words, 0.0, job.actual_duration_s or 0.0)
    return _document(audio, times, 0, _inputs_of(request), is_dialogue=bool(request.script))


def timed_lines(source: StorySource) -> Iterator[bytes]:
    """A story as it is spoken: a line of JSON for each piece, the times from the story's start.

    The first item is empty. Raises StreamCut as ``StorySource.stream`` does.
    """
    yield b""
    try:
        for document in _timed_parts(source):
            yield json.dumps(document).encode() + b"\n"
    except MynahError as error:
        raise StreamCut(error.code) from error


def _timed_parts(source: StorySource) -> Iterator[Document]:
    with source.new_uow() as uow:
        request = SpeechRequest.model_validate(uow.jobs.by_id(source.job_id).request)
        starts = [piece.source_start for piece in uow.pieces.of_job(source.job_id)]
    # Each piece stands for what is written up to the next one; the first for what is before it.
    bounds = [0, *starts[1:], len(request.text)]
    inputs, is_dialogue = _inputs_of(request), bool(request.script)
    encoder, assembler = source.form.encoder(), source.assembler()
    start, done = source.form.start(), 0
    for block in source.blocks(assembler):
        audio, start = start + encoder.encode(block), b""
        if len(assembler.spans) == done:  # of the finished file, behind the pieces
            yield _untimed(audio, is_dialogue=is_dialogue)
            continue
        first, last = bounds[done], bounds[done + 1]
        words = _words_of(source, done, asdict(assembler.spans[done]), first)
        begin_s = assembler.spans[done].start_s if done else 0.0
        end_s = begin_s + block.frames / block.sample_rate
        times = align_characters(request.text[first:last], words, begin_s, end_s)
        yield _document(audio, times, first, inputs, is_dialogue=is_dialogue)
        done += 1
    yield _untimed(start + encoder.flush(), is_dialogue=is_dialogue)


def _words_of(source: StorySource, ordinal: int, span: Document, first: int) -> list[TimedWord]:
    """A piece's words in the story's time and in the text from ``first`` on."""
    with source.new_uow() as uow:
        words = timed_words([span], [uow.pieces.numbered(source.job_id, ordinal)])
    return [
        TimedWord(word.start_s, word.end_s, max(word.start - first, 0), max(word.end - first, 0))
        for word in words
    ]


def _inputs_of(request: SpeechRequest) -> list[_Input]:
    """Where each input's characters lie in the request's text."""
    inputs, start = [], 0
    for line in request.script:
        end = start + len(clean_text(line.text))
        inputs.append(_Input(str(line.voice_id), start, end))
        start = end + 1  # a line feed lies between them
    return inputs


def _document(
    audio: bytes, times: CharacterTimes, first: int, inputs: Sequence[_Input], *, is_dialogue: bool
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
    if is_dialogue:
        document["voice_segments"] = _segments(times, first, inputs)
    return document


def _untimed(audio: bytes, *, is_dialogue: bool) -> Document:
    document: Document = {
        "audio_base64": base64.b64encode(audio).decode(),
        "alignment": None,
        "normalized_alignment": None,
    }
    return {**document, "voice_segments": []} if is_dialogue else document


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
