"""ElevenLabs' shapes of history, usage and account."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from mynah.contracts.speech import CONTENT_TYPES, OutputFormat
from mynah.db.models import Job, User, Voice
from services.api.compat.bodies import VendorSchema
from services.api.compat.formats import ELEVENLABS_FORMATS
from services.api.schemas.common import text_field
from services.api.schemas.compat_elevenlabs_voices import category_of

MAX_DOWNLOADS = 100
_LATEST_S = 4_102_444_800  # the year 2100


class HistoryQuerySchema(VendorSchema):
    """GET /v1/history."""

    page_size = fields.Integer(load_default=100, validate=validate.Range(1, 1000))
    start_after_history_item_id = fields.UUID()
    voice_id = text_field(200, 1)
    model_id = text_field(200, 1)
    date_before_unix = fields.Integer(validate=validate.Range(0, _LATEST_S))
    date_after_unix = fields.Integer(validate=validate.Range(0, _LATEST_S))
    sort_direction = fields.String(load_default="desc", validate=validate.OneOf(("asc", "desc")))
    search = text_field(200)


class DownloadSchema(VendorSchema):
    """POST /v1/history/download."""

    history_item_ids = fields.List(
        fields.UUID(), required=True, validate=validate.Length(1, MAX_DOWNLOADS)
    )
    output_format = fields.String(
        load_default="default",
        validate=validate.OneOf(("default",), error="Items are sent in the format they have."),
    )


class UsageQuerySchema(VendorSchema):
    """GET /v1/usage/character-stats; the times are in milliseconds."""

    start_unix = fields.Integer(required=True, validate=validate.Range(0, _LATEST_S * 1000))
    end_unix = fields.Integer(required=True, validate=validate.Range(0, _LATEST_S * 1000))
    breakdown_type = fields.String(
        load_default="none", validate=validate.OneOf(("none", "voice", "model"))
    )
    aggregation_interval = fields.String(
        load_default="day",
        validate=validate.OneOf(("hour", "day", "week", "month", "cumulative")),
    )
    metric = fields.String(
        load_default="credits",
        validate=validate.OneOf(("credits", "tts_characters", "minutes_used", "request_count")),
    )


def show_item(job: Job, voice: Voice | None) -> dict[str, Any]:
    """A speech job as an item of the history."""
    request = job.request
    return {
        "history_item_id": str(job.id),
        "request_id": job.request_id,
        "voice_id": str(request["voice_id"]),
        "voice_name": voice.name if voice else None,
        "voice_category": category_of(voice) if voice else None,
        "model_id": request["engine"],
        "text": request["text"],
        "date_unix": int(job.created_at.timestamp()),
        "character_count_change_from": 0,
        "character_count_change_to": job.characters,
        "content_type": CONTENT_TYPES[OutputFormat(str(job.output_format))],
        "state": "created",
        "settings": request["voice_settings"],
        "source": "TTS",
        "dialogue": request["script"] or None,
        "output_format": _format_of(job),
    }


def _format_of(job: Job) -> str:
    """The vendor's name of a job's format, or ours where it has none."""
    request, made = job.request, str(job.output_format)
    for name, fmt in ELEVENLABS_FORMATS.items():
        is_same = (fmt.output_format, fmt.sample_rate) == (made, request["sample_rate"])
        if is_same and fmt.bitrate_kbps in (None, request["bitrate_kbps"]):
            return name
    return made


def show_subscription(used: int, limit: int, voices: int, resets_at: int) -> dict[str, Any]:
    """The account's quota in the words of a subscription; what is sold elsewhere is none here."""
    return {
        "tier": "self_hosted",
        "status": "active",
        "character_count": used,
        "character_limit": limit,
        "max_character_limit_extension": 0,
        "max_credit_limit_extension": 0,
        "can_extend_character_limit": False,
        "allowed_to_extend_character_limit": False,
        "next_character_count_reset_unix": resets_at,
        "voice_slots_used": voices,
        "voice_limit": max(voices + 1, 1000),
        "voice_add_edit_counter": 0,
        "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0,
        "professional_voice_limit": 0,
        "can_extend_voice_limit": False,
        "can_use_instant_voice_cloning": True,
        "can_use_professional_voice_cloning": False,
        "current_overage": {"amount": "0", "currency": "usd"},
        "character_refresh_period": "monthly_period",
        "open_invoices": [],
        "has_open_invoices": False,
    }


def show_user(user: User, subscription: dict[str, Any]) -> dict[str, Any]:
    """The account."""
    return {
        "user_id": str(user.id),
        "workspace_id": str(user.id),
        "first_name": user.name or None,
        "subscription": subscription,
        "is_new_user": False,
        "can_use_delayed_payment_methods": False,
        "is_onboarding_completed": True,
        "is_onboarding_checklist_completed": True,
        "is_api_key_hashed": True,
        "created_at": int(user.created_at.timestamp()),
        "seat_type": "workspace_admin",
    }
