"""Typed settings: the only reader of the environment.

Every value comes from a variable ``MYNAH_<NAME>`` (upper case), or from the file that
``MYNAH_SECRETS_FILE`` names (``KEY=value`` lines). Secrets have no default: the local stack
generates them on its first start, every other deployment must set them.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MiB = 1024 * 1024


class Settings(BaseSettings):
    """All settings of all services, with units in the names."""

    model_config = SettingsConfigDict(env_prefix="MYNAH_", extra="ignore", frozen=True)

    # Parts
    database_url: str = "postgresql+psycopg://mynah@127.0.0.1:5432/mynah"
    database_pool_size: int = Field(10, ge=1, le=100)
    database_connect_timeout_s: int = Field(3, ge=1)
    redis_url: str = "redis://127.0.0.1:6379/0"
    storage: Literal["local", "minio"] = "local"
    storage_dir: Path = Path(".mynah/objects")
    minio_endpoint: str = "127.0.0.1:9000"
    minio_public_endpoint: str | None = None
    minio_access_key: str = ""
    minio_secret_key: SecretStr = SecretStr("")
    minio_bucket: str = "audio"
    minio_region: str = "us-east-1"
    minio_secure: bool = False
    minio_timeout_s: float = Field(5.0, gt=0)

    # Secrets and accounts
    jwt_secret: SecretStr = SecretStr("")
    access_token_ttl_s: int = Field(900, ge=60)
    refresh_token_ttl_s: int = Field(30 * 86400, ge=300)
    registration_open: bool = True
    monthly_character_quota: int = Field(1_000_000, ge=0)
    rate_limit_per_minute: int = Field(6000, ge=1)
    auth_rate_limit_per_minute: int = Field(30, ge=1)

    # Uploads and recordings
    max_upload_bytes: int = Field(100 * MiB, ge=1)
    max_import_bytes: int = Field(200 * MiB, ge=1)
    max_recording_s: float = Field(1800.0, gt=0)
    max_decoded_bytes: int = Field(1024 * MiB, ge=1)
    max_samples_per_voice: int = Field(50, ge=1)
    max_audio_files: int = Field(100, ge=1, description="files of one request to the audio service")
    max_bundle_bytes: int = Field(2048 * MiB, ge=1, description="of an audio job's zip")

    # Speech
    default_engine: str = "espeak"
    max_text_characters: int = Field(100_000, ge=1)
    max_sync_characters: int = Field(2_000, ge=1)
    sync_timeout_s: float = Field(60.0, gt=0)
    max_batch_characters: int = Field(1_000_000, ge=1, description="of all items together")
    max_batch_bytes: int = Field(16 * MiB, ge=1, description="of the request")
    max_archive_bytes: int = Field(4096 * MiB, ge=1, description="of the zip of many speech jobs")
    release_window: int = Field(32, ge=1, description="pieces of one job in the queue at a time")
    loudness_lufs: float = Field(-18.0, ge=-40, le=-8)
    speech_attempts: int = Field(
        3, ge=1, le=10, description="readings of a piece while they fail their checks"
    )
    recognizer_dir: Path | None = Field(
        None, description="weights that check what was said, and hear what is asked"
    )
    profile_cache_size: int = Field(64, ge=1)
    profile_cache_mib: int = Field(256, ge=1)
    output_retention_h: int = Field(30 * 24, ge=1)

    # Engines in the speech workers
    warm_engines: str = Field("espeak", description="ids, by commas: loaded at start and kept")
    engine_memory_mib: int = Field(0, ge=0, description="of all engines of a process; 0: no limit")
    engine_idle_unload_s: float = Field(1800.0, ge=0, description="unused for so long; 0: never")
    engine_test_interval_s: float = Field(
        600.0, ge=0, description="a loaded engine that was silent speaks a test; 0: never"
    )
    engine_test_timeout_s: float = Field(120.0, gt=0, description="for its first sound")
    engine_wait_s: float = Field(
        30.0, ge=0, description="work waits so long for an engine that none of its workers can use"
    )

    # Chatterbox
    chatterbox_dir: Path | None = None  # its checkpoints; None = the hub's cache
    chatterbox_download: bool = False
    chatterbox_device: str = "auto"  # or cuda, cuda:1, mps, cpu
    chatterbox_precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    chatterbox_rows: int = Field(32, ge=2, description="decoded at a time; a text takes two")
    chatterbox_live_rows: int = Field(2, ge=0, description="of these kept free of batch work")
    chatterbox_cache_mib: int = Field(4096, ge=1, description="keys and values of all rows")
    chatterbox_prefix_mib: int = Field(512, ge=1, description="voices kept ready")
    chatterbox_waiting: int = Field(256, ge=1, description="requests in the queue")

    # Jobs
    lease_s: float = Field(4.0, gt=0.5, description="a step without heartbeat is free after this")
    heartbeat_s: float = Field(1.0, gt=0.05)
    sweep_interval_s: float = Field(1.0, gt=0.05)
    resend_after_s: float = Field(2.0, gt=0, description="an unclaimed message counts as lost")
    max_attempts: int = Field(5, ge=1, description="claims of one step before its job fails")
    job_history_days: int = Field(365, ge=1)

    # Money (in credits; a credit is whatever the operator says it is)
    storage_cost_per_gib_month: float = Field(0.023, ge=0)

    # Requests that may be repeated (Idempotency-Key)
    idempotency_retention_h: float = Field(24.0, gt=0)
    idempotency_lease_s: float = Field(
        30.0, gt=0.1, description="a request that has not renewed it by then died; its key is free"
    )
    idempotency_wait_s: float = Field(2.0, ge=0, description="for the same request's answer")
    idempotency_max_answer_bytes: int = Field(4 * MiB, ge=0)

    # Webhooks
    webhooks_allow_private: bool = Field(False, description="addresses that are not public")
    webhooks_per_user: int = Field(20, ge=1)
    webhook_timeout_s: float = Field(5.0, gt=0, le=60, description="of one attempt")
    webhook_attempts: int = Field(16, ge=1, description="with the pauses below, about 22 hours")
    webhook_backoff_s: float = Field(10.0, gt=0, description="after the first; then doubled")
    webhook_backoff_max_s: float = Field(4 * 3600.0, gt=0)
    webhook_disable_after: int = Field(5, ge=1, description="deliveries given up in a row")
    webhook_senders: int = Field(16, ge=1, le=100, description="threads of one process")
    webhook_log_days: int = Field(30, ge=1)

    # Observability
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"
    metrics_port: int = Field(0, ge=0, le=65535, description="of a worker; 0 = none")

    # Gateway
    public_url: str = "http://127.0.0.1:8000"
    compat_names_file: Path | None = Field(
        None, description="TOML: what other vendors' names of models and voices stand for"
    )
    trusted_proxies: int = Field(0, ge=0, le=10, description="whose X-Forwarded-For is believed")
    max_streams: int = Field(256, ge=1, description="listeners of one process, a thread each")
    max_streams_per_user: int = Field(12, ge=1, description="of one process")
    max_strangers: int = Field(
        64, ge=1, description="sockets of one process whose client has not said who it is"
    )
    stream_heartbeat_s: float = Field(10.0, gt=0, description="silence that events may have")
    stream_stall_timeout_s: float = Field(
        300.0, gt=0, description="a listener who takes nothing for so long is cut off"
    )
    credential_check_interval_s: float = Field(
        30.0, gt=0, le=60, description="of a listener's or a socket's key, token and account"
    )
    socket_idle_timeout_s: float = Field(
        120.0, gt=0, description="a socket on which nothing is said or spoken is closed"
    )
    socket_ping_interval_s: float = Field(20.0, gt=0)
    socket_resume_s: float = Field(
        30.0, ge=0, le=300, description="a broken socket's client may come back; 0 = it may not"
    )
    socket_kept_kib: int = Field(256, ge=16, description="of what was sent, for who comes back")

    # Spoken questions
    max_question_s: float = Field(60.0, ge=1, le=300)
    recognition_timeout_s: float = Field(20.0, gt=0, le=30, description="of one question")
    responder_timeout_s: float = Field(60.0, gt=0, le=600, description="of a whole answer")
    responder_silence_s: float = Field(
        10.0, gt=0, le=60, description="before an answer's first byte, and between bytes"
    )

    @model_validator(mode="after")
    def _check_times(self) -> Settings:
        if self.heartbeat_s * 2 > self.lease_s:
            raise ValueError("lease_s must be at least twice heartbeat_s")
        return self


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Read the settings once per process."""
    secrets_file = os.environ.get("MYNAH_SECRETS_FILE")
    return Settings(_env_file=secrets_file)
