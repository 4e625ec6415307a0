"""Schemas of pronunciation dictionaries."""

from __future__ import annotations

import unicodedata
from typing import Any

from flask_smorest.fields import Upload
from marshmallow import (
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates_schema,
)

from mynah.errors import InvalidRequest
from mynah.text.pronunciation import (
    MAX_SPOKEN_CHARACTERS,
    MAX_WRITTEN_CHARACTERS,
    PronunciationRule,
)
from services.api.schemas.common import PageQuerySchema, RequestSchema, page_schema, text_field
from services.api.use_cases.dictionaries import (
    MAX_DICTIONARIES_PER_JOB,
    DictionaryChoice,
    DictionaryDraft,
    Edition,
)

MAX_RULES = 5_000
_MAX_VERSION = 2**31 - 1


class RuleSchema(RequestSchema):
    """Read ``written`` as ``spoken``: other words (alias) or IPA (phoneme)."""

    kind = fields.String(required=True, validate=validate.OneOf(("alias", "phoneme")))
    written = text_field(MAX_WRITTEN_CHARACTERS, 1, required=True, metadata={"example": "Siobhan"})
    spoken = text_field(MAX_SPOKEN_CHARACTERS, 1, required=True, metadata={"example": "Shivawn"})
    # Named in the rows as PronunciationRule names them.
    is_case_sensitive = fields.Boolean(data_key="case_sensitive", load_default=False)
    at_word_boundaries = fields.Boolean(
        data_key="word_boundaries",
        load_default=True,
        metadata={"description": "not inside a longer word"},
    )

    @pre_load
    def tidy(self, data: Any, **_: Any) -> Any:
        """Compose accents and drop white space around, as in the texts that are read."""
        if not isinstance(data, dict):
            return data
        tidied = {
            name: unicodedata.normalize("NFC", data[name]).strip()
            for name in ("written", "spoken")
            if isinstance(data.get(name), str)
        }
        return {**data, **tidied}

    @validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """What the rules' own reader would refuse when a job comes."""
        try:
            PronunciationRule(**data)
        except InvalidRequest as error:
            raise ValidationError(error.message) from None


class RulesSchema(RequestSchema):
    """A dictionary's rules; of two for one writing only one is allowed."""

    rules = fields.List(
        fields.Nested(RuleSchema), required=True, validate=validate.Length(0, MAX_RULES)
    )


class DictionaryCreateSchema(RulesSchema):
    """A new dictionary."""

    name = text_field(200, 1, required=True)
    description = text_field(2000, load_default="")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> DictionaryDraft:
        """The draft."""
        return DictionaryDraft(**data)


class DictionaryChangeSchema(RequestSchema):
    """What may change without a new version."""

    name = text_field(200, 1)
    description = text_field(2000)


class DictionaryFileSchema(RequestSchema):
    """A lexicon (PLS 1.0) or what an export as JSON gave."""

    file = Upload(required=True)


class DictionaryFormSchema(RequestSchema):
    """What a file may lack; empty: as the file says, or as it is called."""

    name = text_field(200, load_default="")
    description = text_field(2000, load_default="")


class ExportQuerySchema(RequestSchema):
    """What to export."""

    format = fields.String(load_default="pls", validate=validate.OneOf(("pls", "json")))
    version = fields.Integer(validate=validate.Range(1, _MAX_VERSION))
    language = text_field(35, 2, load_default="en", metadata={"description": "PLS names one"})


class DictionaryQuerySchema(PageQuerySchema):
    """A page of dictionaries or of versions."""


class DictionarySchema(Schema):
    """A dictionary."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    latest_version = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class VersionSchema(Schema):
    """A version of a dictionary; it never changes."""

    version = fields.Integer(required=True)
    rule_count = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)


class VersionWithRulesSchema(VersionSchema):
    """A version with its rules."""

    rules = fields.List(fields.Nested(RuleSchema), required=True)


class DictionaryWithRulesSchema(DictionarySchema):
    """A dictionary with the rules of its latest version."""

    rule_count = fields.Integer(required=True)
    rules = fields.List(fields.Nested(RuleSchema), required=True)


DictionaryPageSchema = page_schema(DictionarySchema, "DictionaryPage")
VersionPageSchema = page_schema(VersionSchema, "DictionaryVersionPage")


class ChoiceSchema(RequestSchema):
    """A dictionary to apply."""

    dictionary_id = fields.UUID(required=True)
    version = fields.Integer(
        strict=True,
        allow_none=True,
        load_default=None,
        validate=validate.Range(1, _MAX_VERSION),
        metadata={"description": "null: the latest at the time of the job"},
    )

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> DictionaryChoice:
        """The choice."""
        return DictionaryChoice(**data)


class VoiceDictionariesSchema(RequestSchema):
    """The dictionaries of a voice, in order."""

    dictionaries = fields.List(
        fields.Nested(ChoiceSchema),
        required=True,
        validate=validate.Length(0, MAX_DICTIONARIES_PER_JOB),
    )


def show_edition(edition: Edition) -> dict[str, Any]:
    """A dictionary with a version's rules as ``DictionaryWithRulesSchema`` shows it."""
    dictionary = edition.dictionary
    return {
        "id": dictionary.id,
        "name": dictionary.name,
        "description": dictionary.description,
        "latest_version": dictionary.latest_version,
        "created_at": dictionary.created_at,
        "updated_at": dictionary.updated_at,
        "rule_count": edition.version.rule_count,
        "rules": edition.version.rules,
    }
