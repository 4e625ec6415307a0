"""The Celery tasks of the audio workers: thin, one line of work each."""

from __future__ import annotations

from functools import partial

from mynah.contracts.tasks import (
    ANALYZE_SAMPLE,
    ASSEMBLE,
    BUNDLE_AUDIO,
    CONVERT_AUDIO,
    ENHANCE_AUDIO,
    MEASURE_AUDIO,
    PACK_BATCH,
    PREPARE_VOICE,
    PUBLISH_VOICE,
    RENDER,
    TRANSCRIBE,
    QuestionPayload,
    StepPayload,
)
from mynah.messaging.consumer import implements
from services.audio_proc.app import app, context, hearing
from services.audio_proc.audio_items import process_item
from services.audio_proc.batch_archive import pack_batch
from services.audio_proc.bundle import bundle_job
from services.audio_proc.questions import recognize_question
from services.audio_proc.renditions import render
from services.audio_proc.sample_analysis import analyze_sample
from services.audio_proc.story import assemble_story
from services.audio_proc.voice_files import prepare_voice, publish_voice


@implements(app, ANALYZE_SAMPLE)
def analyze(payload: StepPayload) -> None:
    """Decode and measure an uploaded recording."""
    context().runner.run(payload, partial(analyze_sample, context()))


@implements(app, PREPARE_VOICE)
def prepare(payload: StepPayload) -> None:
    """Make a voice's reference audio and its recorded MP3."""
    context().runner.run(payload, partial(prepare_voice, context()))


@implements(app, PUBLISH_VOICE)
def publish(payload: StepPayload) -> None:
    """Encode a voice's spoken sample and make the voice ready."""
    context().runner.run(payload, partial(publish_voice, context()))


@implements(app, ASSEMBLE)
def assemble(payload: StepPayload) -> None:
    """Join a job's segments into its output."""
    context().runner.run(payload, partial(assemble_story, context()))


@implements(app, RENDER)
def make_rendition(payload: StepPayload) -> None:
    """Make a finished job's output in another format."""
    context().runner.run(payload, partial(render, context()))


@implements(app, PACK_BATCH)
def pack(payload: StepPayload) -> None:
    """Put the speech of a batch into one zip."""
    context().runner.run(payload, partial(pack_batch, context()))


@implements(app, MEASURE_AUDIO)
def measure(payload: StepPayload) -> None:
    """Measure one file of an audio job and draw it."""
    context().runner.run(payload, partial(process_item, context()))


@implements(app, ENHANCE_AUDIO)
def enhance(payload: StepPayload) -> None:
    """Clean one file of an audio job."""
    context().runner.run(payload, partial(process_item, context()))


@implements(app, CONVERT_AUDIO)
def convert(payload: StepPayload) -> None:
    """Encode one file of an audio job anew."""
    context().runner.run(payload, partial(process_item, context()))


@implements(app, BUNDLE_AUDIO)
def bundle(payload: StepPayload) -> None:
    """Put the files of a batch into one zip."""
    context().runner.run(payload, partial(bundle_job, context()))


@implements(app, TRANSCRIBE)
def transcribe(payload: QuestionPayload) -> None:
    """Recognise a question that somebody waits for."""
    recognize_question(*hearing(), payload)
