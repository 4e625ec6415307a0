"""/api/tts/models: the engines and whether they can speak here."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from mynah.engines.base import EngineInfo
from mynah.engines.catalog import engine_info, language_name, load_engines
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.use_cases.engines import EngineStatus, engine_status, living_workers

blp = ApiBlueprint("models", __name__, url_prefix="/api/tts/models", description="Engines")


class ModelSchema(Schema):
    """An engine."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    version = fields.String(required=True)
    available = fields.Boolean(required=True)
    reason = fields.String(allow_none=True, metadata={"description": "why it is unavailable"})
    workers = fields.Integer(
        required=True, metadata={"description": "how many workers speak with it now"}
    )
    faults = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "why workers that serve it cannot speak now, one for each"},
    )
    sample_rate = fields.Integer(required=True)
    max_piece_characters = fields.Integer(required=True)
    supports_cloning = fields.Boolean(required=True)
    supports_training = fields.Boolean(required=True)
    supports_streaming = fields.Boolean(required=True)
    supports_phonemes = fields.Boolean(required=True)
    supports_rate = fields.Boolean(
        required=True, metadata={"description": "whether speed changes how it speaks"}
    )
    gives_word_times = fields.Boolean(required=True)
    cost_per_1k_characters = fields.Float(required=True)
    language_count = fields.Integer(required=True)


class ModelInfoSchema(ModelSchema):
    """An engine with its languages."""

    languages = fields.List(fields.Dict(), required=True)


class ModelListSchema(Schema):
    """All engines."""

    items = fields.List(fields.Nested(ModelSchema), required=True)


@blp.route("/available")
class Available(MethodView):
    """All engines."""

    @blp.guarded("speech:read")
    @blp.response(200, ModelListSchema)
    def get(self) -> Any:
        """List the engines; those that cannot speak here say why."""
        workers = living_workers(current_container().presence)
        items = [_show(info, engine_status(info.id, workers)) for info in load_engines().values()]
        return {"items": items}


@blp.route("/<string:model_id>/info")
class Info(MethodView):
    """One engine."""

    @blp.guarded("speech:read")
    @blp.response(200, ModelInfoSchema)
    def get(self, model_id: str) -> Any:
        """Show an engine and its languages."""
        info = engine_info(model_id)
        languages = [{"tag": tag, "name": language_name(tag)} for tag in info.languages]
        status = engine_status(model_id, living_workers(current_container().presence))
        return {**_show(info, status), "languages": languages}


def _show(info: EngineInfo, status: EngineStatus) -> dict[str, Any]:
    shown = {name: getattr(info, name, None) for name in ModelSchema().fields}
    return {
        **shown,
        "available": status.available,
        "reason": status.reason,
        "workers": status.workers,
        "faults": list(status.faults),
        "language_count": len(info.languages),
    }
