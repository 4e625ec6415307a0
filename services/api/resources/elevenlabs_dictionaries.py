"""/v1/pronunciation-dictionaries: ElevenLabs' shape; a version's id is its number."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import ValidationError

from mynah.db.clock import utc_now
from mynah.errors import InvalidRequest, NotFound
from services.api.auth.caller import current_caller, requires
from services.api.bootstrap import current_container
from services.api.compat.bodies import read_form, read_json, read_query
from services.api.downloads import filename_parameters
from services.api.idempotency import idempotent
from services.api.schemas import compat_elevenlabs_dictionaries as schemas
from services.api.schemas.common import flatten_messages
from services.api.schemas.dictionaries import RulesSchema
from services.api.texts import printable
from services.api.use_cases import dictionaries
from services.api.use_cases.dictionaries import Rule
from services.api.use_cases.dictionary_files import (
    MAX_FILE_BYTES,
    MEDIA_TYPES,
    read_dictionary_file,
    write_pls,
)

blp = Blueprint("elevenlabs dictionaries", __name__, url_prefix="/v1/pronunciation-dictionaries")

_LANGUAGE = "en"  # of a lexicon that is downloaded; rules here have none


@blp.get("")
@requires("voices:read")
def list_dictionaries() -> dict[str, Any]:
    """List dictionaries, newest first."""
    query, user_id = read_query(schemas.PageQuerySchema), current_caller().user_id
    with current_container().new_uow() as uow:
        page = uow.dictionaries.page(user_id, cursor=query.get("cursor"), limit=query["page_size"])
        counts = uow.dictionaries.rule_counts([one.id for one in page.items])
    shown = [schemas.show_dictionary(one, counts.get(one.id, 0)) for one in page.items]
    return {
        "pronunciation_dictionaries": shown,
        "next_cursor": str(page.next_cursor) if page.next_cursor else None,
        "has_more": page.next_cursor is not None,
    }


@blp.post("/add-from-rules")
@requires("voices:write")
@idempotent
def add_from_rules() -> dict[str, Any]:
    """Make a dictionary from rules."""
    return _create(dictionaries.DictionaryDraft(**read_json(schemas.FromRulesSchema)))


@blp.post("/add-from-file")
@requires("voices:write")
@idempotent
def add_from_file() -> dict[str, Any]:
    """Make a dictionary from a lexicon (PLS)."""
    form, file = read_form(schemas.FileFormSchema), request.files.get("file")
    if file is None:
        message = "Missing data for required field."
        raise InvalidRequest("The request is not valid.", fields={"file": [message]})
    name = printable(file.filename or "")[-200:] or "dictionary"
    document = read_dictionary_file(file.stream.read(MAX_FILE_BYTES + 1), name)
    try:
        loaded = RulesSchema().load({"rules": document.get("rules")})
    except ValidationError as error:
        fields = flatten_messages(error.messages)
        raise InvalidRequest("The file holds no valid dictionary.", fields=fields) from None
    return _create(dictionaries.DictionaryDraft(**form, rules=loaded["rules"]))


@blp.get("/<dictionary_id>")
@requires("voices:read")
def get_dictionary(dictionary_id: str) -> dict[str, Any]:
    """Show a dictionary with the rules of its latest version."""
    with current_container().new_uow() as uow:
        user_id, found = current_caller().user_id, _id(dictionary_id)
        return schemas.show_with_rules(dictionaries.find_edition(uow, user_id, found))


@blp.patch("/<dictionary_id>")
@requires("voices:write")
def change_dictionary(dictionary_id: str) -> dict[str, Any]:
    """Rename a dictionary."""
    body = read_json(schemas.ChangeSchema)
    with current_container().new_uow() as uow:
        user_id, found = current_caller().user_id, _id(dictionary_id)
        edition = dictionaries.find_edition(uow, user_id, found)
        if "name" in body:
            edition.dictionary.name = body["name"]
            edition.dictionary.updated_at = utc_now()
        uow.commit()
        return schemas.show_with_rules(edition)


@blp.post("/<dictionary_id>/set-rules")
@requires("voices:write")
@idempotent
def set_rules(dictionary_id: str) -> dict[str, Any]:
    """Give a dictionary these rules and no others: its next version."""
    return _replace(dictionary_id, [], read_json(schemas.RulesSchema)["rules"], keep=False)


@blp.post("/<dictionary_id>/add-rules")
@requires("voices:write")
@idempotent
def add_rules(dictionary_id: str) -> dict[str, Any]:
    """Add rules; one for a writing that has a rule takes its place."""
    rules = read_json(schemas.RulesSchema)["rules"]
    return _replace(dictionary_id, [rule["written"] for rule in rules], rules)


@blp.post("/<dictionary_id>/remove-rules")
@requires("voices:write")
@idempotent
def remove_rules(dictionary_id: str) -> dict[str, Any]:
    """Remove the rules for these writings."""
    return _replace(dictionary_id, read_json(schemas.RemovalSchema)["rule_strings"], [])


@blp.get("/<dictionary_id>/<version_id>/download")
@requires("voices:read")
def download(dictionary_id: str, version_id: str) -> Response:
    """Send a version as a lexicon (PLS)."""
    with current_container().new_uow() as uow:
        edition = dictionaries.find_edition(
            uow,
            current_caller().user_id,
            _id(dictionary_id),
            dictionaries.version_number(version_id),
        )
    response = Response(write_pls(edition, _LANGUAGE), content_type=MEDIA_TYPES["pls"])
    name = filename_parameters(f"{edition.dictionary.name}.pls")
    response.headers["Content-Disposition"] = f"attachment; {name}"
    return response


def _create(draft: dictionaries.DictionaryDraft) -> dict[str, Any]:
    user_id = current_caller().user_id
    with current_container().new_uow() as uow:
        edition = dictionaries.create_dictionary(uow, user_id, draft)
        uow.commit()
        return schemas.show_made(edition, user_id)


def _replace(
    dictionary_id: str, without: list[str], rules: list[Rule], *, keep: bool = True
) -> dict[str, Any]:
    """A dictionary's next version: its rules but for some writings, and new ones."""
    user_id, found = current_caller().user_id, _id(dictionary_id)
    with current_container().new_uow() as uow:
        uow.dictionaries.locked(user_id, found)  # nobody adds to the same version meanwhile
        old = dictionaries.find_edition(uow, user_id, found).version.rules if keep else []
        kept = [rule for rule in old if rule["written"] not in without]
        edition = dictionaries.replace_rules(uow, user_id, found, [*kept, *rules])
        uow.commit()
        return schemas.show_changed(edition)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such dictionary.", code="dictionary_not_found") from None
