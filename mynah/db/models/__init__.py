"""One file per aggregate; importing this package registers every table."""

from mynah.db.models.account import ApiKey, RefreshToken, User
from mynah.db.models.base import Base
from mynah.db.models.consent import VoiceConsent
from mynah.db.models.dictionary import Dictionary, DictionaryVersion
from mynah.db.models.idempotency import NamedRequest
from mynah.db.models.job import Job, Piece, Rendition, Step
from mynah.db.models.sample import Sample
from mynah.db.models.usage import ServedShare, Usage
from mynah.db.models.voice import Voice, VoiceSample
from mynah.db.models.webhook import Webhook, WebhookDelivery

__all__ = [
    "ApiKey",
    "Base",
    "Dictionary",
    "DictionaryVersion",
    "Job",
    "NamedRequest",
    "Piece",
    "RefreshToken",
    "Rendition",
    "Sample",
    "ServedShare",
    "Step",
    "Usage",
    "User",
    "Voice",
    "VoiceConsent",
    "VoiceSample",
    "Webhook",
    "WebhookDelivery",
]
