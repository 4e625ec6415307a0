"""/v1/models, which both vendors have, each in its own shape."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from mynah.engines.catalog import load_engines
from services.api.auth.caller import requires
from services.api.bootstrap import current_container
from services.api.compat.vendors import Vendor
from services.api.schemas import compat_openai

blp = Blueprint("vendor models", __name__, url_prefix="/v1/models")


@blp.get("")
@requires("speech:read")
def list_models() -> Response:
    """The models, in the shape of the vendor whose key was shown."""
    return jsonify({"object": "list", "data": _openai_models()})


@blp.get("/<model_id>")
@requires("speech:read")
def get_model(model_id: str) -> dict[str, Any]:
    """One model in OpenAI's shape. Raises NotFound."""
    container = current_container()
    container.names[Vendor.OPENAI].engine(container.settings, model_id)
    return compat_openai.show_model(model_id)


def _openai_models() -> list[dict[str, Any]]:
    names = current_container().names[Vendor.OPENAI].models
    return [
        compat_openai.show_model(model_id) for model_id in dict.fromkeys([*names, *load_engines()])
    ]
