"""The parts of the stack, as data: what runs, how it is started and when it is ready."""

from __future__ import annotations

import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.environment import ROOT, StackEnvironment
from deploy.local.ports import HOST
from deploy.local.postgres_server import USER
from deploy.local.processes import Command
from mynah.contracts.states import Lane
from mynah.contracts.tasks import SYNTHESIZE

_CORES = os.cpu_count() or 1

# On one machine all share the processors: requests are answered first, then comes live speech,
# then its assembly, then what has time. Beyond 12, on a machine that others keep busy with four
# processes a processor, stories get so little that their leases end.
LIVE_NICENESS, AUDIO_NICENESS, BATCH_NICENESS = 3, 5, 12

# A text with guidance takes two of the rows that are decoded at a time, 32 by default.
_ENGINE_THREADS = 16

_TTS_APP = "services.worker_tts.app"
_AUDIO_APP = "services.audio_proc.app"
_MAINTENANCE_APP = "services.audio_proc.maintenance"
_BEAT_APP = "services.audio_proc.beat"


@dataclass(frozen=True)
class Launch:
    """One start of a part: since when it runs, and where its output of this start begins."""

    log: Path
    log_offset: int
    age_s: float


#: Tells, within about a second, whether a part that runs does its work yet.
Readiness = Callable[[Launch], bool]


@dataclass(frozen=True)
class Part:
    """A long-running process of the stack."""

    name: str
    build_command: Callable[[], Command]
    is_ready: Readiness
    is_essential: bool = True


@dataclass(frozen=True)
class StackParts:
    """What the supervisor runs: servers, then the migration once, then the services."""

    servers: list[Part]
    migration: Command
    services: list[Part]


def build_parts(environment: StackEnvironment) -> StackParts:
    """Return the parts of a stack. Nothing is started or created."""
    return StackParts(
        servers=[_redis(environment), _postgres(environment)],
        migration=_python(environment, "services.api.manage", "migrate"),
        services=[
            _gateway(environment),
            # It waits for who listens. Helping with stories it would first have to leave one.
            _worker(
                *(environment, "tts-live", _TTS_APP, "tts.espeak.live"),
                processes=1,
                niceness=LIVE_NICENESS,
            ),
            _worker(
                *(environment, "tts-batch", _TTS_APP, "tts.espeak.batch"),
                processes=_CORES,
                niceness=BATCH_NICENESS,
            ),
            *_engine_workers(environment),
            # Questions first: somebody waits for each of them.
            _worker(
                *(environment, "audio", _AUDIO_APP, "recognize,audio"),
                processes=2,
                niceness=AUDIO_NICENESS,
            ),
            _worker(environment, "maintenance", _MAINTENANCE_APP, "maintenance"),
            _beat(environment),
            _flower(environment),
        ],
    )


def _postgres(environment: StackEnvironment) -> Part:
    server = environment.postgres()

    def build_command() -> Command:
        server.initialise()
        return server.command()

    def is_ready(_: Launch) -> bool:
        if not server.is_ready():
            return False
        server.create_database(USER)  # once it answers, and only if it is not there
        return True

    return Part("postgres", build_command, is_ready)


def _redis(environment: StackEnvironment) -> Part:
    server = environment.redis()

    def build_command() -> Command:
        server.initialise()
        return server.command()

    return Part("redis", build_command, lambda _: server.is_ready())


def _gateway(environment: StackEnvironment) -> Part:
    # Loaded once and then forked: on two cores that saves seconds of every start.
    command = _python(
        environment,
        *("gunicorn", "--config", "python:services.api.gunicorn_conf", "--preload"),
        *("--bind", f"{HOST}:{environment.ports.gateway}", "services.api.wsgi:app"),
    )
    return Part("gateway", lambda: command, lambda _: answers(f"{environment.api_url}/ready"))


def _engine_workers(environment: StackEnvironment) -> list[Part]:
    """Return the worker of the engines that were chosen beside eSpeak: one process, since each
    would load the weights once more; its requests are decoded together."""
    engines = environment.engines
    if not engines:
        return []
    queues = [SYNTHESIZE.queue_for(engine, lane) for lane in Lane for engine in engines]
    return [
        _worker(
            *(environment, "tts-engines", _TTS_APP, ",".join(queues)),
            threads=_ENGINE_THREADS,
            niceness=LIVE_NICENESS,
        )
    ]


def _worker(
    environment: StackEnvironment,
    name: str,
    app: str,
    queues: str,
    *,
    processes: int | None = None,
    threads: int | None = None,
    niceness: int = 0,
) -> Part:
    """Return a worker pool of processes or of threads, or one that works by itself (``solo``)."""
    pool = ["-P", "solo"] if processes is None else ["-P", "prefork", "-c", str(processes)]
    if threads is not None:
        pool = ["-P", "threads", "-c", str(threads)]
    command = _python(
        environment,
        "celery",
        *("-A", app, "worker", "-n", f"{name}@%h", "-Q", queues, *pool),
        *("-E", "--disable-prefetch", "--without-mingle", "--without-gossip"),
        "--loglevel=INFO",
        niceness=niceness,
    )
    return Part(name, lambda: command, says(rf"{name}@\S+ ready"))


def _beat(environment: StackEnvironment) -> Part:
    schedule = environment.layout.run / "beat-schedule"
    command = _python(
        environment,
        "celery",
        *("-A", _BEAT_APP, "beat", "--schedule", str(schedule), "--loglevel=INFO"),
    )
    return Part("beat", lambda: command, says("beat: Starting"))


def _flower(environment: StackEnvironment) -> Part:
    # Without an app: it only watches the broker, and starts in a third of the time.
    command = _python(
        environment,
        *("celery", "flower", f"--address={HOST}", f"--port={environment.ports.flower}"),
    )
    is_ready = f"{environment.flower_url}/healthcheck"
    return Part("flower", lambda: command, lambda _: answers(is_ready), is_essential=False)


def _python(
    environment: StackEnvironment, module: str, *arguments: str, niceness: int = 0
) -> Command:
    argv = [sys.executable, "-m", module, *arguments]
    return Command(argv, environment.variables(), folder=ROOT, niceness=niceness)


def answers(url: str) -> bool:
    """Tell whether an address answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=1.0) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def says(pattern: str, patience_s: float = 30.0) -> Readiness:
    """Return a check for a line in the log.

    A log level that hides the line must not hold up the stack: whoever lives for
    ``patience_s`` counts as ready.
    """
    expression = re.compile(pattern.encode())

    def is_ready(launch: Launch) -> bool:
        if launch.age_s > patience_s:
            return True
        with launch.log.open("rb") as file:
            file.seek(launch.log_offset)
            return expression.search(file.read()) is not None

    return is_ready
