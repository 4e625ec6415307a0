"""What lies in a Chatterbox profile and whose it is; readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mynah.engines.base import Profile
from mynah.engines.chatterbox.rows import MODEL_IDS
from mynah.errors import InvalidRequest

VERSION: Final = "1"

# Arrays for T3: the speaker (SPEAKER_WIDTH,) and the prompt's speech tokens
SPEAKER, T3_TOKENS = "t3.speaker", "t3.prompt_tokens"
SPEAKER_WIDTH: Final = 256
# Arrays for S3Gen: the prompt's tokens, its mel (frames, MELS) and the speaker (X_VECTOR_WIDTH,)
X_VECTOR_WIDTH: Final = 192
TOKENS, MEL, X_VECTOR = "s3gen.prompt_tokens", "s3gen.prompt_mel", "s3gen.x_vector"


@dataclass(frozen=True, slots=True)
class ProfileKind:
    """What one model asks of a reference. Its id and its engine's are stamped on its profiles;
    ``prompt_tokens``: how many T3 takes."""

    model: str
    prompt_tokens: int
    is_turbo: bool = False

    @property
    def engine(self) -> str:
        """The id of the model's row in the catalog."""
        return engine_of(self.model)


def check_profile(profile: Profile, kind: ProfileKind) -> None:
    """Raises InvalidRequest (``invalid_profile``) for another engine's, version's or model's."""
    stamp = (profile.engine, profile.version, profile.meta.get("model"))
    if stamp != (kind.engine, VERSION, kind.model):
        made_by = " ".join(str(part) for part in stamp)
        raise InvalidRequest(
            f"The profile was made by {made_by}, not by {kind.engine} {VERSION} {kind.model}.",
            code="invalid_profile",
        )


def engine_of(model: str) -> str:
    """The id of a model's row in the catalog."""
    return next(engine_id for engine_id, name in MODEL_IDS.items() if name == model)
