"""The states and kinds of jobs, steps and voices."""

from __future__ import annotations

from enum import StrEnum


class JobKind(StrEnum):
    """What a user asked for. ``LIVE`` is speech for one listener, of which nothing is kept."""

    SPEECH = "speech"
    LIVE = "live"
    CLONE = "clone"
    ANALYSIS = "analysis"
    BATCH = "batch"
    AUDIO = "audio"
    RENDITION = "rendition"


class JobState(StrEnum):
    """The states of a job."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_JOB_STATES = (JobState.PENDING, JobState.PROCESSING)
ENDED_JOB_STATES = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class StepState(StrEnum):
    """The states of a step: the part of a job that one task claims.

    waiting (not released) → ready (its message is sent) → running (claimed) → done;
    or cancelled with its job.
    """

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class SampleState(StrEnum):
    """The states of an uploaded recording."""

    UPLOADED = "uploaded"
    ANALYZED = "analyzed"
    REJECTED = "rejected"


class VoiceState(StrEnum):
    """The states of a voice."""

    CLONING = "cloning"
    READY = "ready"
    FAILED = "failed"


class Visibility(StrEnum):
    """Who may speak as a voice."""

    PRIVATE = "private"
    PUBLIC = "public"


class Lane(StrEnum):
    """Live work goes before batch work, in pools of its own."""

    LIVE = "live"
    BATCH = "batch"
