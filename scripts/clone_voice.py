"""Clone a voice from a folder of recordings, over the API.

    python scripts/clone_voice.py --input-dir recordings --output-voice-id auto \
        --name Anna --language en --consent "I agree that my voice is cloned." --given-by Anna

The key comes in MYNAH_API_KEY; --url names the gateway. --output-voice-id takes a UUID to give
the voice, or "auto".
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx

SUFFIXES = {".wav", ".mp3", ".m4a", ".mp4", ".aac", ".flac", ".ogg", ".opus", ".webm"}
POLL_S = 0.5


def main() -> int:
    """Upload, clone, wait; prints the voice's id. The exit status is 0 unless it failed."""
    arguments = _parser().parse_args()
    recordings = sorted(
        path for path in arguments.input_dir.iterdir() if path.suffix.lower() in SUFFIXES
    )
    if not recordings:
        print(f"There are no recordings in {arguments.input_dir}.", file=sys.stderr)
        return 1
    headers = {"X-API-Key": os.environ.get("MYNAH_API_KEY", "")}
    try:
        with httpx.Client(base_url=arguments.url, headers=headers, timeout=120.0) as client:
            sample_ids = [_upload(client, path) for path in recordings]
            voice = _call(client, "POST", "/api/voices", json=_order(arguments, sample_ids))
            _wait(client, voice["job_id"])
    except (RuntimeError, httpx.HTTPError) as error:
        print(error, file=sys.stderr)
        return 1
    print(voice["id"])
    return 0


def _upload(client: httpx.Client, path: Path) -> str:
    print(f"uploading {path.name}", file=sys.stderr)
    with path.open("rb") as file:
        return str(_call(client, "POST", "/api/samples", files={"file": (path.name, file)})["id"])


def _order(arguments: argparse.Namespace, sample_ids: list[str]) -> dict[str, Any]:
    order = {
        "name": arguments.name or arguments.input_dir.name,
        "language": arguments.language,
        "kids": arguments.kids,
        "sample_ids": sample_ids,
        "consent": {"statement": arguments.consent, "given_by": arguments.given_by},
    }
    if arguments.output_voice_id != "auto":
        order["voice_id"] = arguments.output_voice_id
    return order


def _wait(client: httpx.Client, job_id: str) -> None:
    while True:
        job = _call(client, "GET", f"/api/voices/job/{job_id}")
        print(f"{job['progress']:.0%} {job['step'] or job['status']}", file=sys.stderr)
        if job["status"] == "completed":
            return
        if job["status"] != "pending" and job["status"] != "processing":
            raise RuntimeError(f"The voice could not be made: {job['error_message']}")
        time.sleep(POLL_S)


def _call(client: httpx.Client, method: str, address: str, **options: Any) -> dict[str, Any]:
    response = client.request(method, address, **options)
    if response.is_error:
        raise RuntimeError(f"{address}: {response.status_code}: {response.text[:500]}")
    document: dict[str, Any] = response.json()
    return document


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input-dir", type=Path, required=True)
    parser.add_argument("--output-voice-id", default="auto")
    parser.add_argument("--name", default="")
    parser.add_argument("--language", default="en")
    parser.add_argument("--kids", action="store_true")
    parser.add_argument("--consent", required=True, help="what the speaker agreed to")
    parser.add_argument("--given-by", required=True, help="the speaker")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    return parser


if __name__ == "__main__":
    sys.exit(main())
