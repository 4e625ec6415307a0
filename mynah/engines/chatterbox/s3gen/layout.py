"""The rates and sizes that S3Gen's parts share. Source: chatterbox-tts 0.1.7, models/s3gen."""

from __future__ import annotations

from typing import Final

SAMPLE_RATE: Final = 24_000
TOKEN_RATE: Final = 25
FRAMES_PER_TOKEN: Final = 2
SAMPLES_PER_FRAME: Final = 480
MELS: Final = 80
VOCABULARY: Final = 6561  # speech tokens; what lies above are marks of T3
SILENCE_TOKEN: Final = 4299
LOOKAHEAD_TOKENS: Final = 3  # how far the encoder's first convolution looks ahead
