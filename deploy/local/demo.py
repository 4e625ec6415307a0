"""The main job as a user does it: upload, clone, speak a story, download; over HTTP only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import mutagen
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.local.demo_account import ensure_demo_account
from deploy.local.environment import ROOT, StackEnvironment
from deploy.local.errors import LocalStackError

OUTPUT_FOLDER = ROOT / "demo-output"
STORY = Path(__file__).with_name("story.txt")
CD_BYTES_PER_S = 44_100 * 2 * 2
POLL_S = 0.2
JOB_TIMEOUT_S = 1800.0
SELF_SPOKEN_TEXT = (
    "Good evening. I am speaking this myself, so that you need no recording to begin with. "
    "The quick brown fox jumps over the lazy dog, while five big quacking zephyrs jolt my wax "
    "bed. In the garden, the children were laughing, and far away a train went by. How many "
    "apples are left in the basket? Seven, I think, or maybe eight. Thank you for listening."
)

console = Console(highlight=False)


@dataclass
class _Report:
    """What the demo made: files, and the time of each step."""

    files: list[tuple[str, Path]] = field(default_factory=list)
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.steps.append((step, time.perf_counter() - started))


def run_demo(
    environment: StackEnvironment, recording: Path | None, story: Path | None, language: str
) -> None:
    """Do the main job on a running stack and print what came out.

    Raises LocalStackError with the gateway's own message when a step fails.
    """
    text = _read_text(story or STORY)
    report = _Report()
    OUTPUT_FOLDER.mkdir(exist_ok=True)
    # A stack that 'make run' started has no account yet.
    key = ensure_demo_account(environment).credentials.demo_api_key
    with httpx.Client(
        base_url=environment.api_url, headers={"X-API-Key": key}, timeout=120.0
    ) as client:
        source = recording or _speak_recording(client, report)
        voice = _clone(client, report, source, language)
        job = _speak_story(client, report, voice["id"], text)
        _fetch(client, report, "recording of the voice", voice["recording_url"], "voice.mp3")
        _fetch(client, report, "sample of the voice", voice["sample_url"], "sample.mp3")
        _fetch(client, report, "story", f"/api/tts/job/{job['job_id']}/download", "story.mp3")
    _print_report(environment, report, voice, job)


def _speak_recording(client: httpx.Client, report: _Report) -> Path:
    """A recording for those who brought none: one of the built-in voices reads a text."""
    with report.timed("recording (spoken here)"):
        voices = _call(client.get, "/api/voices", params={"name": "Rosalind", "limit": 1})
        voice_id = voices["items"][0]["id"]
        body = {"text": SELF_SPOKEN_TEXT, "voice_id": voice_id}
        response = client.post("/tts/generate", json=body)
        _check(response)
        path = OUTPUT_FOLDER / "recording.wav"
        path.write_bytes(response.content)
    return path


def _clone(client: httpx.Client, report: _Report, source: Path, language: str) -> dict[str, Any]:
    with report.timed("upload"):
        try:
            content = source.open("rb")
        except OSError as error:
            raise LocalStackError(f"The recording cannot be read: {error}") from None
        with content:
            sample = _call(client.post, "/api/samples", files={"file": (source.name, content)})
    body = {
        "name": source.stem,
        "language": language,
        "sample_ids": [sample["id"]],
        "consent": {
            "statement": "I run this demo and may use this recording to make a voice.",
            "given_by": "the person who runs the demo",
        },
    }
    with report.timed("clone"):
        voice = _call(client.post, "/api/voices", json=body)
        _wait(client, "cloning", f"/api/voices/job/{voice['job_id']}")
    return _call(client.get, f"/api/voices/{voice['id']}")


def _speak_story(client: httpx.Client, report: _Report, voice_id: str, text: str) -> dict[str, Any]:
    title = text.strip().splitlines()[0][:80]
    with report.timed("story"):
        body = {"text": text, "voice_id": voice_id, "title": title}
        job = _call(client.post, "/api/tts/generate", json=body)
        return _wait(client, "speaking", f"/api/tts/job/{job['job_id']}")


def _wait(client: httpx.Client, label: str, address: str) -> dict[str, Any]:
    """Follow a job with a progress bar until it has ended."""
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(40),
        TextColumn("{task.percentage:>3.0f} %"),
    )
    deadline = time.monotonic() + JOB_TIMEOUT_S
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task(label, total=1.0)
        while time.monotonic() < deadline:
            job = _call(client.get, address)
            progress.update(bar, completed=job["progress"])
            if job["status"] == "completed":
                return job
            if job["status"] in ("failed", "cancelled"):
                raise LocalStackError(f"{label}: {job['status']}: {job['error_message']}")
            time.sleep(POLL_S)
    raise LocalStackError(f"{label}: not done after {JOB_TIMEOUT_S:.0f} s; see 'make logs'.")


def _fetch(client: httpx.Client, report: _Report, label: str, address: str, name: str) -> None:
    path = OUTPUT_FOLDER / name
    with client.stream("GET", address) as response:
        if response.is_error:
            response.read()
        _check(response)
        with path.open("wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
    report.files.append((label, path))


def _call(method: Callable[..., httpx.Response], *arguments: Any, **options: Any) -> dict[str, Any]:
    response = method(*arguments, **options)
    _check(response)
    document: dict[str, Any] = response.json()
    return document


def _check(response: httpx.Response) -> None:
    if response.is_error:
        try:
            message = response.json()["message"]
        except (ValueError, KeyError):
            message = response.text[:300]
        raise LocalStackError(f"{response.request.url.path}: {response.status_code}: {message}")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalStackError(f"The story cannot be read: {error}") from None


def _print_report(
    environment: StackEnvironment, report: _Report, voice: dict[str, Any], job: dict[str, Any]
) -> None:
    files = Table("what", "duration", "bitrate", "size", "saved", title="against CD-quality WAV")
    for label, path in report.files:
        info = mutagen.File(path).info
        size = path.stat().st_size
        files.add_row(
            label,
            f"{info.length:.1f} s",
            f"{info.bitrate / 1000:.0f} kbit/s",
            f"{size / 1000:.0f} kB",
            f"{100 * (1 - size / (info.length * CD_BYTES_PER_S)):.1f} %",
        )
    steps = Table("step", "time")
    for step, seconds in report.steps:
        steps.add_row(step, f"{seconds:.2f} s")
    console.print(files)
    console.print(steps)
    for label, path in report.files:
        console.print(f"{label}: {path}", soft_wrap=True)
    console.print(
        f"Voice {voice['id']} ({voice['name']}, {voice['language']}, engine {voice['engine']}). "
        f"Story: {job['characters']} characters, quality {job['quality_score']}.\n"
        f"API docs: {environment.api_url}/docs   Key: DEMO_API_KEY in "
        f"{environment.layout.secrets_file}",
        soft_wrap=True,
    )
