"""A voice as one file: a zip with a manifest, the voice's objects and their checksums."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

import mynah
from mynah.audio.mp3_format import iter_frames
from mynah.audio.spool import open_spool
from mynah.contracts.states import VoiceState
from mynah.db.models import Voice
from mynah.engines.untrusted_zip import damaged_archive, open_untrusted_zip, read_entry
from mynah.errors import Conflict, InvalidRequest
from mynah.settings import MiB
from mynah.storage.base import ObjectStore
from mynah.storage.packing import add_entry, open_zip
from services.api.texts import is_unstorable

FORMAT = "mynah-voice"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"

MAX_MANIFEST_BYTES = MiB
MAX_ARRAY_FILE_BYTES = 64 * MiB
MAX_MP3_BYTES = 16 * MiB

Role = Literal["reference_audio", "engine_profile", "recorded", "spoken_sample"]


@dataclass(frozen=True, slots=True)
class RoleFile:
    """How an object of a voice lies in a bundle."""

    path: str
    max_bytes: int


ROLES: dict[Role, RoleFile] = {
    "reference_audio": RoleFile("reference.npy", MAX_ARRAY_FILE_BYTES),
    "engine_profile": RoleFile("profile.safetensors", MAX_ARRAY_FILE_BYTES),
    "recorded": RoleFile("recorded.mp3", MAX_MP3_BYTES),
    "spoken_sample": RoleFile("sample.mp3", MAX_MP3_BYTES),
}


def _storable(text: str) -> str:
    if is_unstorable(text):
        raise ValueError("holds NUL or lone surrogates")
    return text


_Storable = AfterValidator(_storable)
Label = Annotated[str, Field(min_length=1, max_length=200), _Storable]
Prose = Annotated[str, Field(max_length=2000), _Storable]


class BundledFile(BaseModel):
    """One object of the voice."""

    model_config = ConfigDict(frozen=True)

    path: str
    size_bytes: int
    sha256: str


class BundledConsent(BaseModel):
    """The consent as it was recorded where the voice was made."""

    model_config = ConfigDict(frozen=True)

    statement: Prose
    given_by: Label
    at: datetime
    recorded_by: Prose = ""


class BundledVoice(BaseModel):
    """The voice's own fields. ``facts`` are for readers; an import measures for itself."""

    model_config = ConfigDict(frozen=True)

    name: Label
    description: Prose = ""
    language: Label
    kids: bool = False
    engine: Label
    reference_sample_rate: int | None = Field(None, ge=1000, le=192_000)
    facts: dict[str, Any] = {}


class BundleManifest(BaseModel):
    """What a bundle says of itself."""

    model_config = ConfigDict(frozen=True)

    format: Literal["mynah-voice"] = "mynah-voice"
    version: Literal[1] = 1
    made_with: str = ""
    voice: BundledVoice
    consent: BundledConsent | None
    files: dict[Role, BundledFile]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read: every file is there and has its checksum."""

    manifest: BundleManifest
    files: dict[Role, bytes]


def write_bundle(store: ObjectStore, voice: Voice) -> BinaryIO:
    """A voice's bundle as a temporary file at its start; closing it removes it.

    Raises Conflict while the voice is not ready.
    """
    if voice.state != VoiceState.READY:
        raise Conflict(f"The voice is {voice.state}, not ready.", code="voice_not_ready")
    spool = open_spool()
    try:
        with open_zip(spool) as archive:
            files = {
                role: _pack(store, archive, str(voice.objects[role]), place.path)
                for role, place in ROLES.items()
                if role in voice.objects
            }
            manifest = _describe(voice, files).model_dump(mode="json")
            text = json.dumps(manifest, indent=2, ensure_ascii=False)
            add_entry(archive, MANIFEST, [text.encode()])
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool


def _pack(store: ObjectStore, archive: zipfile.ZipFile, key: str, path: str) -> BundledFile:
    digest = hashlib.sha256()
    size_bytes = store.stat(key).size_bytes

    def digested() -> Iterator[bytes]:
        for chunk in store.iter_range(key, 0, size_bytes):
            digest.update(chunk)
            yield chunk

    add_entry(archive, path, digested())
    return BundledFile(path=path, size_bytes=size_bytes, sha256=digest.hexdigest())


def _describe(voice: Voice, files: dict[Role, BundledFile]) -> BundleManifest:
    return BundleManifest(
        made_with=f"mynah {mynah.__version__}",
        voice=BundledVoice(
            name=voice.name,
            description=voice.description,
            language=voice.language,
            kids=voice.kids,
            engine=voice.engine,
            reference_sample_rate=voice.facts.get("reference_sample_rate"),
            facts=voice.facts,
        ),
        consent=BundledConsent.model_validate(voice.consent) if voice.consent else None,
        files=files,
    )


def is_bundle(file: BinaryIO) -> bool:
    """Whether an archive has a manifest. Raises InvalidRequest when it is damaged."""
    with open_untrusted_zip(file, max_entries=4096) as archive:
        return MANIFEST in archive.namelist()


def read_bundle(file: BinaryIO) -> Bundle:
    """Read a bundle and check all that it says. Raises InvalidRequest.

    Codes: ``damaged_voice_file``, ``unknown_bundle_version``, ``checksum_mismatch``.
    """
    with open_untrusted_zip(file, max_entries=len(ROLES) + 1) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        known = {MANIFEST, *(place.path for place in ROLES.values())}
        if unknown := infos.keys() - known:
            raise damaged_archive(f"its entry {min(unknown)[:80]!r} does not belong in a bundle")
        manifest = _read_manifest(read_entry(archive, infos[MANIFEST], MAX_MANIFEST_BYTES))
        files: dict[Role, bytes] = {}
        for role, described in manifest.files.items():
            place = ROLES[role]
            if described.path != place.path or place.path not in infos:
                raise damaged_archive(f"its entry {place.path!r} is missing")
            data = read_entry(archive, infos[place.path], place.max_bytes)
            if hashlib.sha256(data).hexdigest() != described.sha256:
                raise InvalidRequest(
                    f"The bundle is damaged: {place.path} is not what was exported.",
                    code="checksum_mismatch",
                )
            files[role] = data
    for role in ("recorded", "spoken_sample"):
        if role in files:
            _check_mp3(files[role], ROLES[role].path)
    return Bundle(manifest, files)


def _read_manifest(data: bytes) -> BundleManifest:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged_archive("its manifest cannot be read") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise damaged_archive("its manifest is not that of a voice")
    if document.get("version") != FORMAT_VERSION:
        raise InvalidRequest(
            f"This is a bundle of version {document.get('version')!r}; "
            f"version {FORMAT_VERSION} can be read here.",
            code="unknown_bundle_version",
        )
    try:
        return BundleManifest.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise damaged_archive(f"its manifest is wrong at {where}") from error


def _check_mp3(data: bytes, path: str) -> None:
    """Whether a file is one ID3 tag and MP3 frames, and nothing else that a browser might run."""
    start = 0
    if data.startswith(b"ID3") and len(data) >= 10:
        groups = zip(data[6:10], (21, 14, 7, 0), strict=True)
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in groups)
    try:
        frames = sum(1 for _ in iter_frames(data[start:]))
    except ValueError as error:
        raise damaged_archive(f"{path} is not MP3") from error
    if frames == 0:
        raise damaged_archive(f"{path} is not MP3")
