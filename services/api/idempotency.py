"""Idempotency-Key: a creating request may be repeated and does its work once.

The first request with a key takes a row (unique by user and key) before it does anything; its
answer is kept there, sealed, and given again to every repetition. Answers that may be different
next time (5xx, 429) are not kept: they free the key. While the work lasts its lease is renewed; a
process that dies frees the key with it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from typing import IO, Any, TypeVar
from uuid import UUID

import structlog
from flask import Response, current_app, request

from mynah.db.models import NamedRequest
from mynah.db.repositories.named_requests import RequestName
from mynah.db.sealing import SealBroken, seal, unseal
from mynah.errors import Conflict, InvalidRequest, MynahError
from services.api.auth.caller import current_caller
from services.api.bootstrap import Container, current_container

log = structlog.get_logger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST_KEY = 255
_KEY = re.compile(rf"[ -~]{{1,{LONGEST_KEY}}}")
_LOOK_AGAIN_S = 0.05
_RETRY_AFTER_S = 1
_CHUNK_BYTES = 1024 * 1024
_RENEWALS = 3  # in the time of a lease

PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
    "description": (
        "Makes the request safe to repeat: the same key with the same request gets the same "
        f"answer again, with `{REPLAYED}: true`. With another request it is a 409 "
        "`idempotency_conflict`; while the first one is not done, 409 `request_in_progress`."
    ),
}


def has_key() -> bool:
    """Whether this request may be repeated under a key: its answer has to be one that is kept."""
    return HEADER in request.headers


def refuse_key() -> None:
    """For streams, of which nothing is kept. Raises InvalidRequest where there is a key."""
    if has_key():
        message = f"A stream cannot be given again; leave out {HEADER}, or ask for the whole."
        raise InvalidRequest(message, code="idempotency_not_for_streams")


def idempotent(method: F) -> F:
    """Let a resource's method run once for each Idempotency-Key of its caller."""

    @wraps(method)
    def once(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None:
            return method(*args, **kwargs)
        if not _KEY.fullmatch(key):
            message = f"{HEADER} takes 1 to {LONGEST_KEY} printable ASCII characters."
            raise InvalidRequest(message, code="invalid_idempotency_key")
        name = RequestName(current_caller().user_id, key, _fingerprint())
        return _answer_once(current_container(), name, lambda: method(*args, **kwargs))

    return once  # type: ignore[return-value]


def _answer_once(container: Container, name: RequestName, work: Callable[[], Any]) -> Response:
    found = _claim_or_find(container, name)
    if isinstance(found, NamedRequest):
        return _replay(container, name, found)
    claim = _Claim(container, name, found)
    try:
        with claim.kept():
            response = _answer_of(work)
    except BaseException:  # the process is told to stop
        claim.release()
        raise
    claim.settle(response)
    return response


def _claim_or_find(container: Container, name: RequestName) -> UUID | NamedRequest:
    """A token for a request that nobody has answered, or the one that was.

    Waits shortly for one who works on the same request. Raises Conflict.
    """
    settings = container.settings
    lease = timedelta(seconds=settings.idempotency_lease_s)
    kept = timedelta(hours=settings.idempotency_retention_h)
    deadline = time.monotonic() + settings.idempotency_wait_s
    while True:
        with container.new_uow() as uow:
            token = uow.named_requests.claim(name, lease, kept)
            if token is not None:
                uow.commit()
                return token
            found = uow.named_requests.get(name)
        if found is not None and found.fingerprint != name.fingerprint:
            message = f"This {HEADER} was used for another request."
            raise Conflict(message, code="idempotency_conflict")
        if found is not None and found.status is not None:
            return found
        if time.monotonic() > deadline:
            message = "The first request with this key is not done; try again soon."
            raise Conflict(message, code="request_in_progress", retry_after_s=_RETRY_AFTER_S)
        time.sleep(_LOOK_AGAIN_S)


def _answer_of(work: Callable[[], Any]) -> Response:
    """The answer of a method, also where it is an error."""
    try:
        return current_app.make_response(work())
    except Exception as error:
        return current_app.make_response(current_app.handle_user_exception(error))


@dataclass(frozen=True, slots=True)
class _Claim:
    """The right to answer a named request."""

    container: Container
    name: RequestName
    token: UUID

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease while the block runs, so that nobody does the same work meanwhile."""
        is_done = threading.Event()
        threading.Thread(
            target=self._renew, args=(is_done,), name="request-lease", daemon=True
        ).start()
        try:
            yield
        finally:
            is_done.set()

    def _renew(self, is_done: threading.Event) -> None:
        lease_s = self.container.settings.idempotency_lease_s
        while not is_done.wait(lease_s / _RENEWALS):
            try:
                with self.container.new_uow() as uow:
                    uow.named_requests.renew(self.token, self.name, timedelta(seconds=lease_s))
                    uow.commit()
            except MynahError as error:  # the name stays ours as long as nobody takes it
                log.warning("request_lease_not_renewed", error_code=error.code)

    def settle(self, response: Response) -> None:
        """Keep an answer, or free the name where the next attempt may get a better one.

        Without a database it does neither: the caller has its answer, the lease ends.
        """
        is_final = (
            response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            and response.status_code != HTTPStatus.TOO_MANY_REQUESTS
        )
        try:
            if is_final:
                self._keep(response)
            else:
                self.release()
        except MynahError:
            log.warning("answer_not_kept", exc_info=True)

    def release(self) -> None:
        """Free the name. Raises DatabaseUnavailable."""
        with self.container.new_uow() as uow:
            uow.named_requests.release(self.token, self.name)
            uow.commit()

    def _keep(self, response: Response) -> None:
        body = self._body_of(response)
        secret = self.container.settings.jwt_secret
        sealed = None if body is None else seal(secret, _purpose(self.name), body)
        headers = [{"name": name, "value": value} for name, value in response.headers.items()]
        status = response.status_code
        with self.container.new_uow() as uow:
            uow.named_requests.keep(self.token, self.name, status, headers, sealed)
            uow.commit()

    def _body_of(self, response: Response) -> bytes | None:
        """The whole body, None where it is larger than what is kept."""
        limit = self.container.settings.idempotency_max_answer_bytes
        size = response.content_length
        if response.is_streamed and (size is None or size > limit):
            return None
        body = response.get_data()
        return body if len(body) <= limit else None


def _replay(container: Container, name: RequestName, found: NamedRequest) -> Response:
    """The first answer again. Raises Conflict where it was too large, or its seal is broken."""
    if found.sealed_body is None or found.status is None:
        job_id = {one["name"]: one["value"] for one in found.headers or []}.get("X-Job-ID")
        where = f" Its job is {job_id}." if job_id else ""
        message = f"This was done; its answer was too large to be kept.{where}"
        raise Conflict(message, code="answer_not_kept")
    try:
        body = unseal(container.settings.jwt_secret, _purpose(name), found.sealed_body)
    except SealBroken:
        raise Conflict(
            "This was done; its answer cannot be read any more.", code="answer_not_kept"
        ) from None
    response = Response(body, status=found.status)
    response.headers.clear()
    for header in found.headers or []:
        response.headers.add(header["name"], header["value"])
    response.headers[REPLAYED] = "true"
    return response


def _purpose(name: RequestName) -> str:
    return f"answer {name.user_id} {name.key}"


def _fingerprint() -> str:
    """What the request asks for, by whom: the same in every repetition, whatever its spelling.

    JSON counts by its content, a form by its fields and files: clients may order keys anew and
    draw another boundary. The API key counts too: an answer may hold what another one may not.
    """
    digest = hashlib.sha256()
    caller = current_caller()
    parts = (request.method, request.path, request.query_string, str(caller.key_id))
    for part in (*parts, *_body_parts()):
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def _body_parts() -> Iterator[str | bytes]:
    if request.mimetype == "multipart/form-data":
        for name, value in request.form.items(multi=True):
            yield from ("field", name or "", value)  # a part may lack its name
        for name, file in request.files.items(multi=True):
            told = (name or "", file.filename or "", file.mimetype or "")
            yield from ("file", *told, _digest(file.stream))
        return
    body = request.get_data(cache=True)
    if request.is_json and body:  # checked before: it is valid and not nested too deeply
        yield from ("json", json.dumps(json.loads(body), sort_keys=True))
    else:
        yield from (request.mimetype, body)


def _digest(stream: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    stream.seek(0)
    return digest.digest()
