"""What webhooks tell: events, the states of a delivery, the headers."""

from __future__ import annotations

from enum import StrEnum


class WebhookEvent(StrEnum):
    """What a user's webhooks may be told of."""

    SPEECH_COMPLETED = "speech.completed"
    SPEECH_FAILED = "speech.failed"
    SPEECH_CANCELLED = "speech.cancelled"
    BATCH_COMPLETED = "batch.completed"
    VOICE_READY = "voice.ready"
    VOICE_FAILED = "voice.failed"
    SAMPLE_ANALYZED = "sample.analyzed"
    SAMPLE_REJECTED = "sample.rejected"
    AUDIO_COMPLETED = "audio.completed"
    AUDIO_FAILED = "audio.failed"
    QUESTION_ASKED = "question.asked"  # the answer of the webhook, a responder, is spoken


TEST_EVENT = "webhook.test"  # by hand, to any webhook


class DeliveryState(StrEnum):
    """The states of a delivery: pending (also between attempts), then one of the others."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


SIGNATURE_HEADER = "Mynah-Signature"
EVENT_HEADER = "Mynah-Event"
DELIVERY_HEADER = "Mynah-Delivery"
