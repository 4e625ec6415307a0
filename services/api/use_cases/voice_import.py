"""A voice from a file: a bundle of ours, or a ready voice file of others.

Nothing in a file is run, and what it claims is checked before it costs anything. What a voice
still lacks after that (an engine's profile, a spoken sample, a recording) is made by a clone
job of the steps that are needed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO, NoReturn

import numpy as np

from mynah.audio.npy import MAGIC as NPY_MAGIC
from mynah.audio.npy import dump_npy, load_npy, to_waveform
from mynah.audio.waveform import Waveform
from mynah.contracts import object_keys
from mynah.contracts.states import VoiceState
from mynah.db.clock import utc_now
from mynah.db.models import Voice
from mynah.db.models.voice import SIZE_FACTS
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.engines.base import EngineInfo, Profile
from mynah.engines.catalog import engine_info, load_engines, resolve_language
from mynah.engines.profile_file import dump_profile, load_profile
from mynah.engines.registry import read_voice_file
from mynah.engines.torch_file import load_torch_file
from mynah.errors import InvalidAudio, InvalidRequest, PayloadTooLarge, StorageUnavailable
from mynah.settings import Settings
from mynah.storage.base import ObjectStore
from services.api.use_cases.voice_bundle import (
    MAX_ARRAY_FILE_BYTES,
    BundledConsent,
    Role,
    is_bundle,
    read_bundle,
)
from services.api.use_cases.voices import (
    FROM_REFERENCE,
    Consent,
    VoiceOrder,
    VoiceOwner,
    new_voice,
    submit_clone_job,
)

MIN_REFERENCE_S = 3.0
MAX_REFERENCE_S = 600.0
MAX_ARRAYS = 1000
MAX_DEPTH = 8

_AUDIO_NAMES = ("audio", "waveform", "wav", "samples", "reference_audio")
_RATE_NAMES = ("sample_rate", "sampling_rate", "sr")


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What the caller says of a voice file; a bundle says most of it by itself."""

    name: str | None = None
    language: str | None = None
    engine: str | None = None
    kids: bool | None = None
    sample_rate: int | None = None
    consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a file gave."""

    kind: str
    reference: Waveform | None = None
    profile: Profile | None = None
    mp3s: tuple[tuple[Role, bytes], ...] = ()
    description: str = ""
    consent: BundledConsent | None = None


def import_voice(
    new_uow: UnitOfWorkFactory,
    store: ObjectStore,
    settings: Settings,
    owner: VoiceOwner,
    *,
    order: ImportOrder,
    file: BinaryIO,
) -> Voice:
    """Make a voice from a file: ready at once, or with a job that makes what it lacks.

    Raises InvalidRequest with its reason (``unsafe_voice_file`` for anything that might run),
    InvalidAudio, PayloadTooLarge, StorageUnavailable. Nothing stays behind then.
    """
    order, contents = _read(order, file, settings.default_engine)
    contents = _checked_profile(contents)
    with new_uow() as uow:
        voice = _new_row(uow, settings, owner, order, contents)
        objects = _objects_of(voice, contents)
        voice.objects = {role: key for role, (key, _, _) in objects.items()}
        voice.facts = {
            **voice.facts,
            **{SIZE_FACTS[role]: len(data) for role, (_, data, _) in objects.items()},
        }
        uow.voices.add(voice)
        _submit_the_rest(uow, owner, voice, contents)
        uow.session.flush()
        uow.session.refresh(voice)
        try:
            for key, data, content_type in objects.values():
                store.put(key, data, content_type)
            uow.commit()
        except BaseException:
            for key, _, _ in objects.values():
                with suppress(StorageUnavailable):
                    store.delete(key)
            raise
        return voice


def _read(order: ImportOrder, file: BinaryIO, default_engine: str) -> tuple[ImportOrder, _Contents]:
    """The file's contents, and the order completed by what the file says."""
    head = file.read(16)
    file.seek(0)
    if head.startswith(b"PK"):
        if is_bundle(file):
            return _read_bundle(order, file)
        return _read_tensors(order, _read_whole(file), default_engine)
    if head.startswith(NPY_MAGIC):
        reference = to_waveform(load_npy(_read_whole(file)), _needed_rate(order.sample_rate))
        return order, _Contents("npy", reference=reference)
    if head[8:9] == b"{":
        return _read_profile(order, _read_whole(file), default_engine)
    if head[:1] == b"\x80":
        raise InvalidRequest(
            "This is a pickle, which could run code. Save it with torch 1.6 or newer.",
            code="unsafe_voice_file",
        )
    raise InvalidRequest(
        "This is neither a bundle nor .npy, .safetensors or .pth.", code="unknown_voice_file"
    )


def _read_whole(file: BinaryIO) -> bytes:
    file.seek(0)
    data = file.read(MAX_ARRAY_FILE_BYTES + 1)
    if len(data) > MAX_ARRAY_FILE_BYTES:
        raise PayloadTooLarge(f"The voice file is larger than {MAX_ARRAY_FILE_BYTES} bytes.")
    return data


def _read_bundle(order: ImportOrder, file: BinaryIO) -> tuple[ImportOrder, _Contents]:
    bundle = read_bundle(file)
    voice, files = bundle.manifest.voice, bundle.files
    reference = profile = None
    if "reference_audio" in files:
        samples = load_npy(files["reference_audio"])
        reference = to_waveform(samples, _needed_rate(voice.reference_sample_rate))
    if "engine_profile" in files and order.engine in (None, voice.engine):
        profile = load_profile(files["engine_profile"], voice.engine)
    mp3s: list[tuple[Role, bytes]] = [
        (role, files[role]) for role in ("recorded", "spoken_sample") if role in files
    ]
    completed = ImportOrder(
        name=order.name or voice.name,
        language=order.language or voice.language,
        engine=order.engine or voice.engine,
        kids=voice.kids if order.kids is None else order.kids,
        consent=order.consent,
    )
    contents = _Contents(
        "bundle", reference, profile, tuple(mp3s), voice.description, bundle.manifest.consent
    )
    return completed, contents


def _read_profile(
    order: ImportOrder, data: bytes, default_engine: str
) -> tuple[ImportOrder, _Contents]:
    engine = order.engine or default_engine
    profile = load_profile(data, engine)
    completed = replace(order, engine=engine, language=order.language or profile.language or None)
    return completed, _Contents("safetensors", profile=profile)


def _read_tensors(
    order: ImportOrder, data: bytes, default_engine: str
) -> tuple[ImportOrder, _Contents]:
    """Audio, when the file holds an array by one of the usual names; else a profile's arrays."""
    document = load_torch_file(data)
    foreign = _read_foreign(order, document, default_engine)
    if foreign is not None:
        return foreign
    table = document if isinstance(document, dict) else {"audio": document}
    audio = next((table[name] for name in _AUDIO_NAMES if name in table), None)
    if isinstance(audio, np.ndarray):
        given = next((table[name] for name in _RATE_NAMES if name in table), order.sample_rate)
        rate = _needed_rate(int(given) if isinstance(given, int | float) else None)
        return order, _Contents("pth", reference=to_waveform(audio, rate))
    arrays: dict[str, Any] = {}
    meta: dict[str, str] = {}
    _flatten(table, "", arrays, meta, 0)
    if not arrays:
        raise InvalidRequest("The file holds no tensors.", code="unknown_voice_file")
    info = _known_engine(meta.pop("engine", "") or order.engine or default_engine)
    language = meta.pop("language", "") or order.language or _raise_missing("language")
    profile = Profile(info.id, meta.pop("version", info.version), language, arrays, meta)
    # Through the file's form and back: the same checks as for a profile that came as one.
    profile = load_profile(dump_profile(profile), order.engine or info.id)
    return replace(order, engine=info.id, language=language), _Contents("pth", profile=profile)


def _read_foreign(
    order: ImportOrder, document: object, default_engine: str
) -> tuple[ImportOrder, _Contents] | None:
    """Another program's voice file, for the first engine that knows it and speaks the language."""
    if order.language is None:
        return None
    engines = [order.engine] if order.engine else [default_engine, *load_engines()]
    for info in map(_known_engine, engines):
        try:
            profile = read_voice_file(document, info.id, order.language)
        except InvalidRequest as error:
            if order.engine or error.code != "unsupported_language":
                raise
            continue
        if profile is not None:
            return replace(order, engine=info.id), _Contents("pth", profile=profile)
    return None


def _flatten(
    table: dict[Any, Any], prefix: str, arrays: dict[str, Any], meta: dict[str, str], depth: int
) -> None:
    if depth > MAX_DEPTH or len(arrays) + len(meta) + len(table) > MAX_ARRAYS:
        raise InvalidRequest("The file holds too much for a voice.", code="unknown_voice_file")
    for name, value in table.items():
        path = f"{prefix}{name}"
        if isinstance(value, np.ndarray):
            arrays[path] = value
        elif isinstance(value, dict):
            _flatten(value, f"{path}.", arrays, meta, depth + 1)
        elif isinstance(value, str | int | float):
            meta[path] = str(value)
        elif value is not None:
            raise InvalidRequest(
                f"The file holds something other than tensors at {path!r}.",
                code="unknown_voice_file",
            )


def _checked_profile(contents: _Contents) -> _Contents:
    """Without the profile and its sample, when the profile is of another version of the engine.

    Raises InvalidRequest when there is no reference audio to make a new one from.
    """
    profile = contents.profile
    if profile is None:
        if contents.reference is None:
            raise InvalidRequest("The file holds no voice.", code="unknown_voice_file")
        # a sample that another engine spoke is not how this voice will sound
        return replace(contents, mp3s=_without_sample(contents))
    info = _known_engine(profile.engine)
    if profile.version == info.version:
        # others may write a language differently; the engine reads its own spelling only
        known = replace(profile, language=resolve_language(info, profile.language))
        return replace(contents, profile=known)
    if contents.reference is not None:
        return replace(contents, profile=None, mp3s=_without_sample(contents))
    raise InvalidRequest(
        f"The profile was made by {info.name} of version {profile.version!r}; "
        f"here it is {info.version!r}.",
        code="profile_version_mismatch",
    )


def _without_sample(contents: _Contents) -> tuple[tuple[Role, bytes], ...]:
    return tuple(mp3 for mp3 in contents.mp3s if mp3[0] != "spoken_sample")


def _new_row(
    uow: UnitOfWork,
    settings: Settings,
    owner: VoiceOwner,
    order: ImportOrder,
    contents: _Contents,
) -> Voice:
    given = order.consent
    if given is None and contents.consent is not None:
        given = Consent(contents.consent.statement, contents.consent.given_by)
    if given is None:
        raise InvalidRequest(
            "A voice needs its speaker's consent.",
            code="consent_required",
            fields={"consent_statement": ["Required."], "consent_given_by": ["Required."]},
        )
    wanted = VoiceOrder(
        name=order.name or _raise_missing("name"),
        language=order.language or _raise_missing("language"),
        consent=given,
        description=contents.description,
        kids=bool(order.kids),
        engine=order.engine,
    )
    voice = new_voice(uow, settings, owner, wanted)
    if order.consent is None and contents.consent is not None:
        voice.consent = _carried_consent(contents.consent, owner, utc_now())
    voice.facts = _facts_of(contents)
    return voice


def _carried_consent(
    consent: BundledConsent, owner: VoiceOwner, imported_at: datetime
) -> dict[str, Any]:
    """A bundle's consent, and who brought it here when."""
    return {
        **consent.model_dump(mode="json"),
        "imported_by": str(owner.user_id),
        "imported_at": imported_at.isoformat(),
    }


def _facts_of(contents: _Contents) -> dict[str, Any]:
    facts: dict[str, Any] = {"imported_from": contents.kind}
    if contents.reference is not None:
        duration_s = contents.reference.duration_s
        if not MIN_REFERENCE_S <= duration_s <= MAX_REFERENCE_S:
            raise InvalidAudio(
                f"The reference audio lasts {duration_s:.1f} s; it may last "
                f"{MIN_REFERENCE_S:g} to {MAX_REFERENCE_S:g} s.",
                code="too_short" if duration_s < MIN_REFERENCE_S else "too_long",
            )
        facts["reference_sample_rate"] = contents.reference.sample_rate
        facts["reference_duration_s"] = round(duration_s, 3)
    return facts


def _objects_of(voice: Voice, contents: _Contents) -> dict[Role, tuple[str, bytes, str]]:
    """Key, bytes and type of each object that the file gave."""
    place = (voice.id, voice.language, voice.kids)
    binary, mp3 = "application/octet-stream", "audio/mpeg"
    objects: dict[Role, tuple[str, bytes, str]] = {}
    if contents.reference is not None:
        data = dump_npy(contents.reference.samples)
        objects["reference_audio"] = (object_keys.reference_audio(*place), data, binary)
    if contents.profile is not None:
        key = object_keys.engine_profile(*place, voice.engine)
        objects["engine_profile"] = (key, dump_profile(contents.profile), binary)
    keys = {
        "recorded": object_keys.recorded(*place),
        "spoken_sample": object_keys.spoken_sample(*place),
    }
    return objects | {role: (keys[role], data, mp3) for role, data in contents.mp3s}


def _submit_the_rest(uow: UnitOfWork, owner: VoiceOwner, voice: Voice, contents: _Contents) -> None:
    """Ready when nothing is missing, else the job that makes what is."""
    has_sample = "spoken_sample" in voice.objects
    has_recording = "recorded" in voice.objects or contents.reference is None
    if contents.profile is not None and has_sample and has_recording:
        voice.state = VoiceState.READY
    else:
        submit_clone_job(uow, owner, voice, FROM_REFERENCE)


def _known_engine(engine: str) -> EngineInfo:
    if engine not in load_engines():
        raise InvalidRequest(f"There is no engine {engine!r}.", code="engine_not_found")
    return engine_info(engine)


def _needed_rate(sample_rate: int | None) -> int:
    if sample_rate is None:
        _raise_missing("sample_rate")
    if not 1000 <= sample_rate <= 192_000:
        raise InvalidAudio("The sample rate must be 1000 to 192000 Hz.", code="not_audio")
    return sample_rate


def _raise_missing(field: str) -> NoReturn:
    raise InvalidRequest(
        f"The file does not say its {field}; send it along.",
        code=f"{field}_needed",
        fields={field: ["Required for this file."]},
    )
