"""What ElevenLabs' clients send about voices, and how voices and models are shown to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields, validate

from mynah.db.models import Sample, Voice
from mynah.engines.base import EngineInfo
from mynah.engines.catalog import language_name
from services.api.compat.bodies import VendorSchema
from services.api.schemas.common import text_field
from services.api.use_cases.vendor_settings import settings_of

MAX_LABELS = 20
_LABEL_CHARACTERS = 200
LABELS_FACT = "labels"
PREMADE, CLONED = "premade", "cloned"
_QUALITIES = ((0.9, "studio"), (0.75, "good"), (0.5, "ok"), (0.25, "poor"))


class LabelsField(fields.Field[dict[str, str]]):
    """A JSON object of texts, written as a text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        try:
            labels = json.loads(value) or {}
        except (ValueError, TypeError, RecursionError):
            raise ValidationError("Must be a JSON object of texts.") from None
        is_object = isinstance(labels, dict) and len(labels) <= MAX_LABELS
        if not is_object or not all(_is_label(text) for pair in labels.items() for text in pair):
            raise ValidationError(f"Must be a JSON object of {MAX_LABELS} short texts at most.")
        return labels


def _is_label(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= _LABEL_CHARACTERS and text.isprintable()


class VoiceFormSchema(VendorSchema):
    """POST /v1/voices/add."""

    name = text_field(200, 1, required=True)
    description = text_field(2000, load_default="")
    labels = LabelsField(load_default=dict)
    # Taken and left: recordings are always cleaned as far as they need it.
    remove_background_noise = fields.Boolean()


class VoiceChangeSchema(VendorSchema):
    """POST /v1/voices/{id}/edit."""

    name = text_field(200, 1, required=True)
    description = text_field(2000)
    labels = LabelsField()


class SearchQuerySchema(VendorSchema):
    """GET /v2/voices."""

    next_page_token = fields.Integer(validate=validate.Range(0, 2**31), load_default=0)
    page_size = fields.Integer(validate=validate.Range(1, 100), load_default=10)
    search = text_field(200, load_default="")
    sort = fields.String(
        validate=validate.OneOf(("created_at_unix", "name")), load_default="created_at_unix"
    )
    sort_direction = fields.String(validate=validate.OneOf(("asc", "desc")))
    voice_type = fields.String()
    category = fields.String()
    language = fields.String()
    collection_id = fields.String()


def show_voice(voice: Voice, samples: Sequence[Sample], user_id: UUID, base: str) -> dict[str, Any]:
    """A voice as ElevenLabs shows one; ``base``: the gateway's own address."""
    is_own = voice.user_id == user_id
    has_sample = "spoken_sample" in voice.objects
    return {
        "voice_id": str(voice.id),
        "name": voice.name,
        "samples": [show_sample(sample) for sample in samples] if is_own else None,
        "category": category_of(voice),
        "fine_tuning": {"is_allowed_to_fine_tune": False, "state": {}, "progress": {}},
        "labels": labels_of(voice),
        "description": voice.description,
        "preview_url": f"{base}/api/voices/{voice.id}/sample" if has_sample else None,
        "available_for_tiers": [],
        "settings": settings_of(voice),
        "high_quality_base_model_ids": [voice.engine],
        "verified_languages": [_language_of(voice)],
        "collection_ids": [],
        "is_owner": is_own,
        "is_legacy": False,
        "is_mixed": False,
        "permission_on_resource": "admin" if is_own else "viewer",
        "created_at_unix": int(voice.created_at.timestamp()),
        "recording_quality": _recording_quality(samples),
    }


def category_of(voice: Voice) -> str:
    """ElevenLabs' word for where a voice comes from."""
    return PREMADE if voice.user_id is None else CLONED


def labels_of(voice: Voice) -> dict[str, str]:
    """A voice's labels: its owner's, and what is known of it."""
    known = {"language": voice.language}
    if "gender" in voice.facts:
        known["gender"] = voice.facts["gender"]
    return {**known, **voice.facts.get(LABELS_FACT, {})}


def show_sample(sample: Sample) -> dict[str, Any]:
    """A recording of a voice."""
    return {
        "sample_id": str(sample.id),
        "file_name": sample.filename,
        "mime_type": sample.content_type,
        "size_bytes": sample.size_bytes,
        "hash": sample.sha256,
        "duration_secs": (sample.measurements or {}).get("duration_s"),
    }


def show_new_voice(voice: Voice) -> dict[str, Any]:
    """A voice that was added."""
    return {"voice_id": str(voice.id), "requires_verification": False}


def show_model(model_id: str, info: EngineInfo, longest_text: int) -> dict[str, Any]:
    """A model: one of the vendor's names, or an engine's id, and the engine behind it."""
    languages = [{"language_id": tag, "name": language_name(tag)} for tag in info.languages]
    return {
        "model_id": model_id,
        "name": info.name if model_id == info.id else f"{model_id} ({info.name})",
        "description": info.description,
        "can_do_text_to_speech": True,
        "can_do_voice_conversion": False,
        "can_be_finetuned": info.supports_training,
        "can_use_style": True,
        "can_use_speaker_boost": False,
        "serves_pro_voices": False,
        "token_cost_factor": 1.0,
        "requires_alpha_access": False,
        "max_characters_request_free_user": longest_text,
        "max_characters_request_subscribed_user": longest_text,
        "maximum_text_length_per_request": longest_text,
        "languages": languages,
        "model_rates": {"character_cost_multiplier": 1.0},
        "concurrency_group": "standard",
    }


def _language_of(voice: Voice) -> dict[str, Any]:
    language, _, region = voice.language.partition("-")
    locale = f"{language}-{region.upper()}" if region else language
    return {"language": language, "model_id": voice.engine, "accent": None, "locale": locale}


def _recording_quality(samples: Sequence[Sample]) -> str | None:
    """In ElevenLabs' words, how good the best recording is."""
    scores = [float((sample.verdict or {}).get("score") or 0.0) for sample in samples]
    if not scores:
        return None
    return next((word for least, word in _QUALITIES if max(scores) >= least), "bad")
