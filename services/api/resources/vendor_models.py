"""/v1/models, which both vendors have, each in its own shape."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from mynah.engines.catalog import load_engines
from services.api.auth.caller import requires
from services.api.bootstrap import current_container
from services.api.compat.vendors import Vendor, current_vendor
from services.api.schemas import compat_elevenlabs_voices, compat_openai

blp = Blueprint("vendor models", __name__, url_prefix="/v1/models")


@blp.get("")
@requires("speech:read")
def list_models() -> Response:
    """The models, in the shape of the vendor whose header shows the key."""
    if current_vendor() is Vendor.ELEVENLABS:
        return jsonify(_elevenlabs_models())
    shown = [compat_openai.show_model(name) for name in _names(Vendor.OPENAI)]
    return jsonify({"object": "list", "data": shown})


@blp.get("/<model_id>")
@requires("speech:read")
def get_model(model_id: str) -> dict[str, Any]:
    """One model in OpenAI's shape. Raises NotFound."""
    container = current_container()
    container.names[Vendor.OPENAI].engine(container.settings, model_id)
    return compat_openai.show_model(model_id)


def _elevenlabs_models() -> list[dict[str, Any]]:
    container = current_container()
    table, settings = container.names[Vendor.ELEVENLABS], container.settings
    return [
        compat_elevenlabs_voices.show_model(
            name, table.engine(settings, name), settings.max_text_characters
        )
        for name in _names(Vendor.ELEVENLABS)
    ]


def _names(vendor: Vendor) -> list[str]:
    """The vendor's names, then the engines' ids."""
    return list(dict.fromkeys([*current_container().names[vendor].models, *load_engines()]))
