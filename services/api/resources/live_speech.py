"""/api/tts/stream: text in, speech out while it is spoken."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from mynah.contracts.states import Lane
from mynah.db.ids import new_id
from mynah.errors import Gone, NotAuthenticated
from services.api.auth.caller import current_caller
from services.api.auth.standing import Grant, ensure_stands
from services.api.auth.tokens import issue_token, read_token
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.idempotency import refuse_key
from services.api.live.answers import answer_stream
from services.api.resources.tts import requester
from services.api.schemas.live import (
    LIVE_CONTENT_TYPES,
    LinkQuerySchema,
    LinkRequestSchema,
    LinkSchema,
    LiveOrder,
    LiveSpeechSchema,
)
from services.api.use_cases.speech import Requester, prepare_speech

blp = ApiBlueprint("live speech", __name__, url_prefix="/api/tts", description="Speech at once")


@blp.route("/stream")
class LiveSpeech(MethodView):
    """Speech in the answer, from its first sound on."""

    @blp.guarded("speech:write", 409, 413, 500, 504)
    @blp.arguments(LiveSpeechSchema)
    @blp.sends_file(*LIVE_CONTENT_TYPES.values())
    def post(self, order: LiveOrder) -> Response:
        """Speak a short text; the answer begins with the first sound and goes on as it is spoken.

        Leaving ends the speech, unless it is to be stored. Mono; PCM is 16-bit little-endian at
        the rate in `X-Sample-Rate`. An error behind the first sound closes the connection
        without the end of the answer. It takes no `Idempotency-Key`: nothing could be given again.
        """
        refuse_key()
        return _speak(order, requester())

    @blp.fails(401, 404, 409, 410, 413, 500, 504)
    @blp.arguments(LinkQuerySchema, location="query")
    @blp.sends_file(*LIVE_CONTENT_TYPES.values())
    def get(self, query: dict[str, Any]) -> Response:
        """Open a link that was made before: what it stands for is spoken, each time anew."""
        if not query["token"]:
            raise NotAuthenticated("Send the token of a link.")
        order, asker, grant = _open_link(query["token"])
        if request.method == "HEAD":  # nobody listens
            return Response((), content_type=_content_type(order))
        return _speak(order, asker, grant)


@blp.route("/stream/link")
class Link(MethodView):
    """Links for players that send no headers."""

    @blp.creates("speech:write")
    @blp.arguments(LinkRequestSchema)
    @blp.response(201, LinkSchema)
    def post(self, expires_in_s: int) -> Any:
        """Make a signed link that speaks a text when it is opened, until it expires."""
        container = current_container()
        body = {name: value for name, value in request.get_json().items() if name != "expires_in_s"}
        order = LiveSpeechSchema().load(body)
        with container.new_uow() as uow:  # what cannot be spoken gets no link
            prepare_speech(uow, container.settings, requester(), order.speech, Lane.LIVE)
        caller = current_caller()
        key_id = None if caller.key_id is None else str(caller.key_id)
        document = {"order": body, "origin": caller.origin, "key_id": key_id}
        encoded, token = issue_token(container.settings, caller.user_id, "stream", expires_in_s)
        container.links.keep(str(token.id), document, expires_in_s)
        url = f"{container.settings.public_url}/api/tts/stream?token={encoded}"
        return {"url": url, "expires_at": token.expires_at}


def _open_link(encoded: str) -> tuple[LiveOrder, Requester, Grant]:
    """What a link stands for, who asks, on what grant. Raises NotAuthenticated, Gone."""
    container = current_container()
    token = read_token(container.settings, encoded, "stream")
    document = container.links.find(str(token.id))
    if document is None:
        raise Gone("The link has expired.", code="link_expired")
    key_id = document.get("key_id")
    grant = Grant(token.user_id, None if key_id is None else UUID(key_id))
    with container.new_uow() as uow:
        user = ensure_stands(uow, grant)
    quota = user.monthly_character_quota
    asker = Requester(user.id, document["origin"], str(new_id()), quota)
    return LiveSpeechSchema().load(document["order"]), asker, grant


def _speak(order: LiveOrder, asker: Requester, grant: Grant | None = None) -> Response:
    """Answer while it is spoken. ``grant``: of who listens, if that is no caller."""
    # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
    from services.api.live.listening import open_live  # noqa: PLC0415

    container = current_container()
    opened = open_live(
        container,
        asker,
        order.speech,
        is_kept=order.is_kept,
        ends_with_listener=not order.is_kept,
        is_adaptive=order.is_adaptive,
    )
    job = opened.job
    kind = _content_type(order)
    response = answer_stream(container, job.id, opened.body, kind, opened.close, grant=grant)
    response.headers["X-Job-ID"] = str(job.id)
    response.headers["X-Voice-ID"] = str(job.voice_id)
    response.headers["X-Sample-Rate"] = str(opened.form.output_rate)
    if opened.form.has_bitrates:
        shown = opened.form.show_bitrates(is_adaptive=order.is_adaptive)
        response.headers["X-Bitrates-Kbps"] = shown
    response.headers["Accept-Ranges"] = "none"
    return response


def _content_type(order: LiveOrder) -> str:
    return LIVE_CONTENT_TYPES[order.speech.output_format.value]
