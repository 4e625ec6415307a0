"""Pronunciation dictionaries: make, change by new versions, apply to voices and jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mynah.contracts.speech import DictionaryRef
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Dictionary, DictionaryVersion, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, InvalidRequest, NotFound
from services.api.use_cases.voices import owned_voice

MAX_DICTIONARIES_PER_USER = 100
MAX_VERSIONS = 1000
MAX_DICTIONARIES_PER_JOB = 3

Rule = dict[str, Any]  # the fields of mynah.text.pronunciation.PronunciationRule


@dataclass(frozen=True, slots=True)
class DictionaryDraft:
    """A dictionary to be made."""

    name: str
    rules: Sequence[Rule]
    description: str = ""


@dataclass(frozen=True, slots=True)
class DictionaryChoice:
    """A dictionary to apply; ``version`` None: the latest at the time of the job."""

    dictionary_id: UUID
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Edition:
    """A dictionary in one of its versions."""

    dictionary: Dictionary
    version: DictionaryVersion


def create_dictionary(uow: UnitOfWork, user_id: UUID, draft: DictionaryDraft) -> Edition:
    """Make a dictionary with its first version. The caller commits.

    Raises InvalidRequest (``duplicate_rules``), Conflict (``too_many_dictionaries``).
    """
    _refuse_duplicates(draft.rules)
    uow.users.lock(user_id)  # two at once would both find room for the last one
    if uow.dictionaries.count(user_id) >= MAX_DICTIONARIES_PER_USER:
        raise Conflict(
            f"You may have {MAX_DICTIONARIES_PER_USER} dictionaries.",
            code="too_many_dictionaries",
        )
    now = utc_now()
    dictionary = Dictionary(
        id=new_id(),
        user_id=user_id,
        name=draft.name,
        description=draft.description,
        latest_version=1,
        created_at=now,
        updated_at=now,
    )
    uow.dictionaries.add(dictionary)
    return Edition(dictionary, _add_version(uow, dictionary, draft.rules))


def replace_rules(
    uow: UnitOfWork, user_id: UUID, dictionary_id: UUID, rules: Sequence[Rule]
) -> Edition:
    """Give a dictionary new rules as its next version; the same rules again make none.

    The caller commits. Raises NotFound, InvalidRequest, Conflict (``too_many_versions``).
    """
    _refuse_duplicates(rules)
    dictionary = uow.dictionaries.locked(user_id, dictionary_id)
    if dictionary is None:
        raise _not_found()
    latest = _version_of(uow, dictionary, dictionary.latest_version)
    if latest.rules == list(rules):
        return Edition(dictionary, latest)
    if dictionary.latest_version >= MAX_VERSIONS:
        raise Conflict(
            f"A dictionary may have {MAX_VERSIONS} versions; make a new one.",
            code="too_many_versions",
        )
    dictionary.latest_version += 1
    dictionary.updated_at = utc_now()
    return Edition(dictionary, _add_version(uow, dictionary, rules))


def find_dictionary(uow: UnitOfWork, user_id: UUID, dictionary_id: UUID) -> Dictionary:
    """A user's dictionary. Raises NotFound."""
    dictionary = uow.dictionaries.get(user_id, dictionary_id)
    if dictionary is None:
        raise _not_found()
    return dictionary


def find_edition(
    uow: UnitOfWork, user_id: UUID, dictionary_id: UUID, version: int | None = None
) -> Edition:
    """A user's dictionary in a version, None = the latest. Raises NotFound."""
    dictionary = find_dictionary(uow, user_id, dictionary_id)
    wanted = dictionary.latest_version if version is None else version
    return Edition(dictionary, _version_of(uow, dictionary, wanted))


def version_number(text: str) -> int:
    """A version as vendors' clients name it, by a text. Raises NotFound for what is no number."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise NotFound("The dictionary has no such version.", code="dictionary_version_not_found")
    return int(text)


def delete_dictionary(uow: UnitOfWork, user_id: UUID, dictionary_id: UUID) -> None:
    """Remove a dictionary, and every voice's reference to it. The caller commits.

    Jobs that were ordered before keep what they read from it. Raises NotFound.
    """
    dictionary = uow.dictionaries.locked(user_id, dictionary_id)
    if dictionary is None:
        raise _not_found()
    for voice in uow.dictionaries.voices_that_use(user_id, dictionary_id):
        kept = [ref for ref in voice.dictionaries if ref["dictionary_id"] != str(dictionary_id)]
        voice.dictionaries = kept
    uow.dictionaries.delete(dictionary)


def apply_to_voice(
    uow: UnitOfWork, user_id: UUID, voice_id: UUID, choices: Sequence[DictionaryChoice]
) -> Voice:
    """Let dictionaries apply to all that a voice speaks, in this order. The caller commits.

    Raises NotFound (voice, dictionary, version), PermissionDenied (a public voice),
    InvalidRequest (too many, or one of them twice).
    """
    voice = owned_voice(uow, user_id, voice_id)
    _refuse_repeats(choices)
    # Locked in one order: no dictionary is deleted before the voice refers to it.
    for choice in sorted(choices, key=lambda choice: choice.dictionary_id):
        dictionary = uow.dictionaries.locked(user_id, choice.dictionary_id)
        if dictionary is None:
            raise _not_found()
        if choice.version is not None:
            _version_of(uow, dictionary, choice.version)
    voice.dictionaries = [
        {"dictionary_id": str(choice.dictionary_id), "version": choice.version}
        for choice in choices
    ]
    voice.updated_at = utc_now()
    return voice


def resolve_dictionaries(
    uow: UnitOfWork, user_id: UUID, refs_of_job: Sequence[DictionaryChoice], voice: Voice
) -> tuple[list[DictionaryRef], list[Rule]]:
    """The dictionaries of a job in the versions that it will use, and their rules.

    The job's own come first, then the voice's; of two rules for one writing the first counts.
    A dictionary of both is taken as the job says. Raises NotFound (``dictionary_not_found``)
    for what the user does not have, InvalidRequest (``too_many_dictionaries``).
    """
    _refuse_repeats(refs_of_job)
    editions = [
        find_edition(uow, user_id, choice.dictionary_id, choice.version) for choice in refs_of_job
    ]
    named = {choice.dictionary_id for choice in refs_of_job}
    editions += _editions_of_voice(uow, voice, named)
    if len(editions) > MAX_DICTIONARIES_PER_JOB:
        raise _too_many(f"The job and its voice name {len(editions)} dictionaries")
    refs = [
        DictionaryRef(dictionary_id=edition.dictionary.id, version=edition.version.version)
        for edition in editions
    ]
    return refs, [rule for edition in editions for rule in edition.version.rules]


def _editions_of_voice(uow: UnitOfWork, voice: Voice, without: set[UUID]) -> list[Edition]:
    """What applies to a voice, whoever speaks as it: its owner's dictionaries."""
    if voice.user_id is None:
        return []
    found = []
    for ref in voice.dictionaries:
        dictionary_id = UUID(ref["dictionary_id"])
        if dictionary_id in without:
            continue
        try:
            found.append(find_edition(uow, voice.user_id, dictionary_id, ref["version"]))
        except NotFound:  # deleted since the voice was read, and with it the reference
            continue
    return found


def _add_version(
    uow: UnitOfWork, dictionary: Dictionary, rules: Sequence[Rule]
) -> DictionaryVersion:
    version = DictionaryVersion(
        id=new_id(),
        dictionary_id=dictionary.id,
        version=dictionary.latest_version,
        rules=list(rules),
        created_at=dictionary.updated_at,
    )
    uow.dictionaries.add_version(version)
    return version


def _version_of(uow: UnitOfWork, dictionary: Dictionary, version: int) -> DictionaryVersion:
    is_known = 1 <= version <= dictionary.latest_version  # and fits the column
    found = uow.dictionaries.version(dictionary.id, version) if is_known else None
    if found is None:
        raise NotFound("The dictionary has no such version.", code="dictionary_version_not_found")
    return found


def _refuse_duplicates(rules: Iterable[Rule]) -> None:
    """Raise InvalidRequest that names each rule whose writing an earlier one has."""
    first: dict[tuple[bool, str], int] = {}
    problems: dict[str, list[str]] = {}
    for index, rule in enumerate(rules):
        is_exact = rule["is_case_sensitive"]
        key = (is_exact, rule["written"] if is_exact else rule["written"].lower())
        earlier = first.setdefault(key, index)
        if earlier != index:
            problems[f"rules.{index}"] = [f"Written as rule {earlier} is."]
    if problems:
        raise InvalidRequest(
            "Some rules are written twice.", code="duplicate_rules", fields=problems
        )


def _refuse_repeats(choices: Sequence[DictionaryChoice]) -> None:
    if len(choices) > MAX_DICTIONARIES_PER_JOB:
        raise _too_many(f"There are {len(choices)} dictionaries")
    if len({choice.dictionary_id for choice in choices}) < len(choices):
        raise InvalidRequest("A dictionary is named twice.", code="duplicate_dictionary")


def _too_many(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{what}; {MAX_DICTIONARIES_PER_JOB} are allowed.", code="too_many_dictionaries"
    )


def _not_found() -> NotFound:
    return NotFound("There is no such dictionary.", code="dictionary_not_found")
