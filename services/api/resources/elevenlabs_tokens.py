"""/v1/single-use-token: ElevenLabs' tokens for clients that must not have a key."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from mynah.errors import NotFound
from services.api.auth.caller import current_caller, requires
from services.api.auth.single_use_tokens import issue_single_use_token
from services.api.bootstrap import current_container
from services.api.idempotency import idempotent

blp = Blueprint("elevenlabs tokens", __name__, url_prefix="/v1/single-use-token")


@blp.post("/<kind>")
@requires("speech:write")
@idempotent
def create_token(kind: str) -> Response:
    """A token that opens one of the vendor's speech sockets, once, within 15 minutes."""
    if kind != "tts_websocket":
        raise NotFound("Tokens are there for tts_websocket only.", code="token_type_not_found")
    response = jsonify({"token": issue_single_use_token(current_container(), current_caller())})
    response.headers["Cache-Control"] = "no-store"
    return response
