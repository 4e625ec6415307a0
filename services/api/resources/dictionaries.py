"""/api/dictionaries: pronunciation dictionaries, their versions and their files."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from marshmallow import ValidationError
from werkzeug.datastructures import FileStorage

from mynah.db.clock import utc_now
from mynah.errors import InvalidRequest
from services.api.auth.caller import current_caller
from services.api.blueprints import BINARY, ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import filename_parameters
from services.api.schemas import dictionaries as schemas
from services.api.schemas.common import flatten_messages
from services.api.schemas.voices import VoiceSchema, show_voice
from services.api.texts import printable
from services.api.use_cases import dictionaries
from services.api.use_cases.dictionary_files import (
    MAX_FILE_BYTES,
    MEDIA_TYPES,
    read_dictionary_file,
    write_pls,
)

blp = ApiBlueprint("dictionaries", __name__, url_prefix="/api", description="Pronunciation")


@blp.route("/dictionaries")
class Dictionaries(MethodView):
    """The caller's dictionaries."""

    @blp.guarded("voices:read")
    @blp.arguments(schemas.DictionaryQuerySchema, location="query")
    @blp.response(200, schemas.DictionaryPageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List dictionaries, newest first."""
        with current_container().new_uow() as uow:
            return uow.dictionaries.page(
                current_caller().user_id, cursor=query.get("cursor"), limit=query["limit"]
            )

    @blp.creates("voices:write", 413)
    @blp.arguments(schemas.DictionaryCreateSchema)
    @blp.response(201, schemas.DictionaryWithRulesSchema)
    def post(self, draft: dictionaries.DictionaryDraft) -> Any:
        """Make a dictionary."""
        return _create(draft)


@blp.route("/dictionaries/import")
class ImportDictionary(MethodView):
    """Dictionaries that were made elsewhere."""

    @blp.creates("voices:write", 413)
    @blp.upload(schemas.DictionaryFileSchema, schemas.DictionaryFormSchema)
    @blp.response(201, schemas.DictionaryWithRulesSchema)
    def post(self, files: dict[str, FileStorage], form: dict[str, str]) -> Any:
        """Make a dictionary from a lexicon (PLS 1.0) or an exported JSON file."""
        file = files["file"]
        filename = printable(file.filename or "")[-200:] or "dictionary"
        document = read_dictionary_file(file.stream.read(MAX_FILE_BYTES + 1), filename)
        given = {name: value for name, value in form.items() if value}
        return _create(_checked({**document, **given}))


@blp.route("/dictionaries/<uuid:dictionary_id>")
class OneDictionary(MethodView):
    """One dictionary."""

    @blp.guarded("voices:read")
    @blp.response(200, schemas.DictionaryWithRulesSchema)
    def get(self, dictionary_id: UUID) -> Any:
        """Show a dictionary with the rules of its latest version."""
        with current_container().new_uow() as uow:
            edition = dictionaries.find_edition(uow, current_caller().user_id, dictionary_id)
            return schemas.show_edition(edition)

    @blp.guarded("voices:write")
    @blp.arguments(schemas.DictionaryChangeSchema)
    @blp.response(200, schemas.DictionarySchema)
    def patch(self, body: dict[str, str], dictionary_id: UUID) -> Any:
        """Rename or describe a dictionary."""
        with current_container().new_uow() as uow:
            found = dictionaries.find_dictionary(uow, current_caller().user_id, dictionary_id)
            for name, value in body.items():
                setattr(found, name, value)
            found.updated_at = utc_now()
            uow.commit()
            return found

    @blp.guarded("voices:write")
    @blp.response(204)
    def delete(self, dictionary_id: UUID) -> None:
        """Delete a dictionary with its versions; voices that use it go on without it."""
        with current_container().new_uow() as uow:
            dictionaries.delete_dictionary(uow, current_caller().user_id, dictionary_id)
            uow.commit()


@blp.route("/dictionaries/<uuid:dictionary_id>/rules")
class Rules(MethodView):
    """The rules of a dictionary."""

    @blp.guarded("voices:write", 409, 413)
    @blp.arguments(schemas.RulesSchema)
    @blp.response(200, schemas.DictionaryWithRulesSchema)
    def put(self, body: dict[str, Any], dictionary_id: UUID) -> Any:
        """Give the dictionary new rules: its next version. Older ones stay usable."""
        with current_container().new_uow() as uow:
            edition = dictionaries.replace_rules(
                uow, current_caller().user_id, dictionary_id, body["rules"]
            )
            uow.commit()
            return schemas.show_edition(edition)


@blp.route("/dictionaries/<uuid:dictionary_id>/versions")
class Versions(MethodView):
    """The versions of a dictionary."""

    @blp.guarded("voices:read")
    @blp.arguments(schemas.DictionaryQuerySchema, location="query")
    @blp.response(200, schemas.VersionPageSchema)
    def get(self, query: dict[str, Any], dictionary_id: UUID) -> Any:
        """List versions, newest first."""
        with current_container().new_uow() as uow:
            found = dictionaries.find_dictionary(uow, current_caller().user_id, dictionary_id)
            return uow.dictionaries.version_page(
                found.id, cursor=query.get("cursor"), limit=query["limit"]
            )


@blp.route("/dictionaries/<uuid:dictionary_id>/versions/<int:version>")
class OneVersion(MethodView):
    """One version."""

    @blp.guarded("voices:read")
    @blp.response(200, schemas.VersionWithRulesSchema)
    def get(self, dictionary_id: UUID, version: int) -> Any:
        """Show a version with its rules."""
        user_id = current_caller().user_id
        with current_container().new_uow() as uow:
            return dictionaries.find_edition(uow, user_id, dictionary_id, version).version


@blp.route("/dictionaries/<uuid:dictionary_id>/export")
class ExportDictionary(MethodView):
    """A dictionary to take along."""

    @blp.guarded("voices:read")
    @blp.arguments(schemas.ExportQuerySchema, location="query")
    @blp.doc(
        responses={
            "200": {
                "description": "The file.",
                "content": {kind: {"schema": BINARY} for kind in MEDIA_TYPES.values()},
            }
        }
    )
    def get(self, query: dict[str, Any], dictionary_id: UUID) -> Response:
        """Download a version's rules as a lexicon (PLS 1.0) or as JSON."""
        user_id = current_caller().user_id
        with current_container().new_uow() as uow:
            edition = dictionaries.find_edition(uow, user_id, dictionary_id, query.get("version"))
        kind = query["format"]
        text = _as_json(edition) if kind == "json" else write_pls(edition, query["language"])
        response = Response(text, content_type=MEDIA_TYPES[kind])
        name = filename_parameters(f"{edition.dictionary.name}.{kind}")
        response.headers["Content-Disposition"] = f"attachment; {name}"
        return response


@blp.route("/voices/<uuid:voice_id>/dictionaries")
class VoiceDictionaries(MethodView):
    """The dictionaries of a voice."""

    @blp.guarded("voices:write")
    @blp.arguments(schemas.VoiceDictionariesSchema)
    @blp.response(200, VoiceSchema)
    def put(self, body: dict[str, Any], voice_id: UUID) -> Any:
        """Let dictionaries apply to all that the voice speaks from now on, in this order."""
        user_id = current_caller().user_id
        with current_container().new_uow() as uow:
            voice = dictionaries.apply_to_voice(uow, user_id, voice_id, body["dictionaries"])
            uow.commit()
            return show_voice(voice, user_id)


def _create(draft: dictionaries.DictionaryDraft) -> dict[str, Any]:
    with current_container().new_uow() as uow:
        edition = dictionaries.create_dictionary(uow, current_caller().user_id, draft)
        uow.commit()
        return schemas.show_edition(edition)


def _checked(document: dict[str, Any]) -> dictionaries.DictionaryDraft:
    """A file's dictionary. Raises InvalidRequest that names every field that is wrong."""
    try:
        draft: dictionaries.DictionaryDraft = schemas.DictionaryCreateSchema().load(document)
    except ValidationError as error:
        raise InvalidRequest(
            "The file holds no valid dictionary.",
            code="invalid_dictionary_file",
            fields=flatten_messages(error.messages),
        ) from None
    return draft


def _as_json(edition: dictionaries.Edition) -> str:
    document = {
        "name": edition.dictionary.name,
        "description": edition.dictionary.description,
        "rules": schemas.RuleSchema(many=True).dump(edition.version.rules),
    }
    return json.dumps(document, ensure_ascii=False, indent=1)
