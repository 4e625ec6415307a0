"""One module per resource; a new one is listed here.

Conventions: an ``ApiBlueprint`` named ``blp``; every method is ``@blp.guarded(scope, …error
statuses)``; requests and answers are schemas of ``services.api.schemas``; the work is a
function of ``services.api.use_cases`` inside ``with current_container().new_uow() as uow``.
"""

from services.api.resources import (
    admin,
    analytics,
    audio,
    auth,
    batches,
    dictionaries,
    elevenlabs_dictionaries,
    elevenlabs_records,
    elevenlabs_socket,
    elevenlabs_speech,
    elevenlabs_tokens,
    elevenlabs_voices,
    live,
    live_speech,
    models,
    openai_speech,
    openai_voices,
    operations,
    renditions,
    samples,
    simple_speech,
    simple_voices,
    speech_socket,
    subtitles,
    tts,
    vendor_models,
    voice_files,
    voices,
    webhooks,
)

BLUEPRINTS = (
    auth.blp,
    samples.blp,
    voices.blp,
    voice_files.blp,
    dictionaries.blp,
    tts.blp,
    renditions.blp,
    subtitles.blp,
    live.blp,
    live_speech.blp,
    batches.blp,
    models.blp,
    audio.blp,
    simple_speech.blp,
    simple_voices.blp,
    webhooks.blp,
    analytics.blp,
    admin.blp,
)
# Not in our document: the vendors have their own of these shapes (docs/compat.md).
PLAIN_BLUEPRINTS = (
    operations.blp,
    openai_speech.blp,
    elevenlabs_speech.blp,
    elevenlabs_socket.blp,
    elevenlabs_tokens.blp,
    elevenlabs_voices.blp,
    elevenlabs_records.blp,
    elevenlabs_dictionaries.blp,
    openai_voices.blp,
    vendor_models.blp,
    speech_socket.blp,
)
