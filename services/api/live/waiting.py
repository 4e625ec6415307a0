"""Wait in a request until a job has ended."""

from __future__ import annotations

import time
from uuid import UUID

from mynah.contracts.states import ENDED_JOB_STATES
from mynah.db.models import Job
from mynah.errors import SpeechTimeout
from services.api.bootstrap import Container

FIRST_LOOK_S = 0.01
SLOWEST_LOOK_S = 0.1


def wait_until_ended(container: Container, job_id: UUID) -> Job:
    """Look at the job until it has ended. Raises SpeechTimeout; the job goes on then."""
    deadline = time.monotonic() + container.settings.sync_timeout_s
    pause_s = FIRST_LOOK_S
    while time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.3, SLOWEST_LOOK_S)
        with container.new_uow() as uow:
            job = uow.jobs.by_id(job_id)
        if job.state in ENDED_JOB_STATES:
            return job
    raise SpeechTimeout(f"Not ready in time; look at /api/tts/job/{job_id}.")
