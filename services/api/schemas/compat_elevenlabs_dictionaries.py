"""ElevenLabs' shapes of pronunciation dictionaries, and their rules in ours."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from mynah.db.models import Dictionary
from services.api.compat.bodies import VendorSchema
from services.api.schemas.common import text_field
from services.api.schemas.dictionaries import MAX_RULES, RuleSchema
from services.api.use_cases.dictionaries import Edition, Rule

_KINDS = ("alias", "phoneme")


class VendorRuleSchema(VendorSchema):
    """A rule as ElevenLabs writes it; loaded as one of ours."""

    type = fields.String(required=True, validate=validate.OneOf(_KINDS))
    string_to_replace = fields.String(required=True)
    alias = fields.String()
    phoneme = fields.String()
    alphabet = fields.String(load_default="ipa")
    case_sensitive = fields.Boolean(load_default=True)
    word_boundaries = fields.Boolean(load_default=True)

    @validates_schema
    def check_alphabet(self, data: dict[str, Any], **_: Any) -> None:
        """Phonemes are IPA."""
        if data.get("type") == "phoneme" and data["alphabet"].lower() != "ipa":
            raise ValidationError("Phonemes are written in IPA here.", "alphabet")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Rule:
        """The rule, checked as ours are."""
        rule: Rule = RuleSchema().load(
            {
                "kind": data["type"],
                "written": data["string_to_replace"],
                "spoken": data.get(data["type"], ""),
                "case_sensitive": data["case_sensitive"],
                "word_boundaries": data["word_boundaries"],
            }
        )
        return rule


class RulesSchema(VendorSchema):
    """Rules to add or to set."""

    rules = fields.List(
        fields.Nested(VendorRuleSchema), required=True, validate=validate.Length(1, MAX_RULES)
    )


class FromRulesSchema(RulesSchema):
    """POST …/add-from-rules."""

    name = text_field(200, 1, required=True)
    description = text_field(2000, load_default="")


class FileFormSchema(VendorSchema):
    """POST …/add-from-file."""

    name = text_field(200, 1, required=True)
    description = text_field(2000, load_default="")


class RemovalSchema(VendorSchema):
    """POST …/remove-rules."""

    rule_strings = fields.List(
        text_field(1000, 1), required=True, validate=validate.Length(1, MAX_RULES)
    )


class ChangeSchema(VendorSchema):
    """PATCH …/{id}."""

    name = text_field(200, 1)
    archived = fields.Boolean(
        validate=validate.Equal(False, error="Dictionaries are deleted here, not archived.")
    )


class PageQuerySchema(VendorSchema):
    """A page of dictionaries."""

    cursor = fields.UUID()
    page_size = fields.Integer(load_default=30, validate=validate.Range(1, 100))


def show_made(edition: Edition, user_id: UUID) -> dict[str, Any]:
    """A new dictionary."""
    dictionary = edition.dictionary
    return {
        "id": str(dictionary.id),
        "name": dictionary.name,
        "description": dictionary.description,
        "created_by": str(user_id),
        "creation_time_unix": int(dictionary.created_at.timestamp()),
        "permission_on_resource": "admin",
        **_version(edition),
    }


def show_changed(edition: Edition) -> dict[str, Any]:
    """A dictionary whose rules were changed."""
    return {"id": str(edition.dictionary.id), **_version(edition)}


def show_dictionary(dictionary: Dictionary, rule_count: int) -> dict[str, Any]:
    """A dictionary without its rules."""
    return {
        "id": str(dictionary.id),
        "latest_version_id": str(dictionary.latest_version),
        "latest_version_rules_num": rule_count,
        "name": dictionary.name,
        "description": dictionary.description,
        "permission_on_resource": "admin",
        "created_by": str(dictionary.user_id),
        "creation_time_unix": int(dictionary.created_at.timestamp()),
        "archived_time_unix": None,
    }


def show_with_rules(edition: Edition) -> dict[str, Any]:
    """A dictionary with its rules."""
    rules = edition.version.rules
    shown = show_dictionary(edition.dictionary, len(rules))
    return {**shown, "rules": [_show_rule(rule) for rule in rules]}


def _version(edition: Edition) -> dict[str, Any]:
    return {
        "version_id": str(edition.version.version),
        "version_rules_num": len(edition.version.rules),
    }


def _show_rule(rule: Rule) -> dict[str, Any]:
    kind = rule["kind"]
    shown = {
        "type": kind,
        "string_to_replace": rule["written"],
        kind: rule["spoken"],
        "case_sensitive": rule["is_case_sensitive"],
        "word_boundaries": rule["at_word_boundaries"],
    }
    return {**shown, "alphabet": "ipa"} if kind == "phoneme" else shown
