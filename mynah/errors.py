"""The error tree: every error that a caller or an operator sees.

Each class has a stable ``code``, says whether trying again can help
(``retryable``) and which HTTP status it becomes::

    MynahError                     500 internal_error
    ├── InvalidRequest             422 invalid_request
    │   ├── InvalidAudio           422 invalid_audio
    │   ├── UnsupportedFormat      422 unsupported_format
    │   └── TextTooLong            422 text_too_long
    ├── NotAuthenticated           401 not_authenticated
    ├── PermissionDenied           403 permission_denied
    ├── NotFound                   404 not_found
    ├── Conflict                   409 conflict
    ├── Gone                       410 gone
    ├── PayloadTooLarge            413 payload_too_large
    ├── TooManyRequests            429 rate_limited
    │   └── QuotaExceeded          429 quota_exceeded
    ├── EngineFailed               500 engine_failed
    ├── OutputRejected             500 output_rejected
    ├── WorkerLost                 500 worker_lost
    └── Unavailable                503 unavailable (retryable)
        ├── DatabaseUnavailable    503 database_unavailable
        ├── StorageUnavailable     503 storage_unavailable
        ├── BrokerUnavailable      503 broker_unavailable
        ├── EngineUnavailable      503 engine_unavailable
        └── SpeechTimeout          504 speech_timeout

A raiser may narrow ``code`` for one case (``NotFound(..., code="voice_not_found")``);
the class decides status and retry.
"""

from __future__ import annotations


class MynahError(Exception):
    """Root of the tree. ``message`` is safe to show to a caller."""

    code = "internal_error"
    status = 500
    retryable = False

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        fields: dict[str, list[str]] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message or self.__doc__ or type(self).__name__)
        self.message = message or (self.__doc__ or type(self).__name__).splitlines()[0]
        if code is not None:
            self.code = code
        self.fields = fields or {}
        self.retry_after_s = retry_after_s


class InvalidRequest(MynahError):
    """The request is not valid."""

    code = "invalid_request"
    status = 422


class InvalidAudio(InvalidRequest):
    """The audio cannot be used."""

    code = "invalid_audio"


class UnsupportedFormat(InvalidRequest):
    """The format is not supported."""

    code = "unsupported_format"


class TextTooLong(InvalidRequest):
    """The text is longer than allowed."""

    code = "text_too_long"


class NotAuthenticated(MynahError):
    """Valid credentials are required."""

    code = "not_authenticated"
    status = 401


class PermissionDenied(MynahError):
    """The credentials do not allow this."""

    code = "permission_denied"
    status = 403


class NotFound(MynahError):
    """There is no such resource."""

    code = "not_found"
    status = 404


class Conflict(MynahError):
    """The resource is in a state that does not allow this."""

    code = "conflict"
    status = 409


class Gone(MynahError):
    """The resource existed and was removed."""

    code = "gone"
    status = 410


class PayloadTooLarge(MynahError):
    """The request is larger than allowed."""

    code = "payload_too_large"
    status = 413


class TooManyRequests(MynahError):
    """Too many requests; try again later."""

    code = "rate_limited"
    status = 429


class QuotaExceeded(TooManyRequests):
    """The quota of this period is used up."""

    code = "quota_exceeded"


class EngineFailed(MynahError):
    """The speech engine could not speak this."""

    code = "engine_failed"


class OutputRejected(MynahError):
    """The produced audio did not pass its check."""

    code = "output_rejected"


class WorkerLost(MynahError):
    """The work was lost with its worker too many times."""

    code = "worker_lost"


class Unavailable(MynahError):
    """A part of the service is unavailable; try again soon."""

    code = "unavailable"
    status = 503
    retryable = True


class DatabaseUnavailable(Unavailable):
    """The database is unavailable; try again soon."""

    code = "database_unavailable"


class StorageUnavailable(Unavailable):
    """The object store is unavailable; try again soon."""

    code = "storage_unavailable"


class BrokerUnavailable(Unavailable):
    """The message broker is unavailable; try again soon."""

    code = "broker_unavailable"


class EngineUnavailable(Unavailable):
    """The speech engine is unavailable."""

    code = "engine_unavailable"


class SpeechTimeout(Unavailable):
    """The speech was not ready in time; the job goes on."""

    code = "speech_timeout"
    status = 504
