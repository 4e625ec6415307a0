"""One sentence from POST to completed, less what the engine and the encoder took."""

from __future__ import annotations

from datetime import datetime

from bench.local_stack import Target
from bench.report import percentiles_ms, print_row, print_title
from bench.thousand_jobs import wait_for_all

JOBS = 40


def run(target: Target) -> None:
    """Speak sentences one after another and print the platform's own share."""
    print_title("Whole job, one sentence, one at a time")
    own: list[float] = []
    whole: list[float] = []
    with target.client() as client:
        for _ in range(JOBS):
            body = {"text": "The moon is up, good night.", "voice_id": target.voice_id}
            job_id = client.post("/api/tts/generate", json=body).json()["job_id"]
            wait_for_all(client, [job_id], pause_s=0.02)
            result = client.get(f"/api/tts/job/{job_id}/result").json()
            created = datetime.fromisoformat(result["created_at"])
            took = (datetime.fromisoformat(result["completed_at"]) - created).total_seconds()
            whole.append(took)
            own.append(took - result["details"]["synthesis_s"] - result["details"]["encode_s"])
    print_row("created to completed: p50 / p95", percentiles_ms(whole))
    print_row("less engine and encoder: p50 / p95", percentiles_ms(own), "p50 <= 40 ms")
