"""audio.analyze: an uploaded recording gets its measurements and its verdict."""

from __future__ import annotations

from mynah.contracts.speech import AnalysisRequest
from mynah.contracts.states import SampleState
from mynah.db.models import Job, Sample
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.settings import Settings
from services.audio_proc.analysis import analyze_in_depth
from services.audio_proc.decoding import DecodedRecording, DecodingLimits, decode_recording
from services.audio_proc.suitability import judge_for_training, judge_recording


def analyze_sample(worker: WorkerContext, claim: Claim) -> Commit:
    """Decode and measure the claimed sample. Raises InvalidAudio, which rejects it."""
    request = AnalysisRequest.model_validate(claim.job.request)
    with worker.new_uow() as uow:
        sample = uow.samples.by_id(request.sample_id)
    if sample is None:
        raise NotFound("The sample was deleted.", code="sample_not_found")
    decoded = decode_sample(worker, sample)
    claim.ensure_held()
    measured = analyze_in_depth(decoded.waveform)
    verdict = judge_recording(measured.recording)
    training = judge_for_training(measured.recording, measured.depth)

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        row = uow.samples.by_id(request.sample_id)
        if row is None:
            return
        row.state = SampleState.ANALYZED
        row.measurements = {
            **measured.recording.to_dict(),
            **measured.depth.to_dict(),
            "container": decoded.container,
            "codec": decoded.codec,
        }
        row.verdict = {**verdict.to_dict(), "training": training.to_dict()}

    return commit


def decode_sample(worker: WorkerContext, sample: Sample) -> DecodedRecording:
    """Fetch and decode the untouched original of a sample, within the settings' limits."""
    return decode_recording(worker.store.get(sample.object_key), limits_of(worker.settings))


def limits_of(settings: Settings) -> DecodingLimits:
    """The settings' limits on a recording."""
    return DecodingLimits(settings.max_recording_s, settings.max_decoded_bytes)
