"""Options of the messages of a campaign: they make a composer, and a ledger records them."""

import json
from collections.abc import Mapping
from typing import Any, Final, Self, TextIO

import attrs

from connectus_async.cli.parameters import read_text
from connectus_async.ledger import metadata_names
from connectus_async.recipients.composer import Composer, default_recipient
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.templates import parse_template
from connectus_async.transliteration import to_gsm7

FIELDS: Final = ("to", "key", "src_number", "src_email", "id_delivery", "id_client")
"""Options that are columns, or the same in all messages."""


@attrs.frozen(kw_only=True)
class Composition:
    """Options of the messages of a campaign.

    Attributes:
        kind: Their kind.
        text: Text of an SMS or a WhatsApp message, with placeholders.
        subject: Subject of an email, with placeholders.
        html: HTML of an email, with placeholders.
        jinja: The texts are Jinja templates.
        locale: Language and country of formats in the texts; by default those of the region.
        transliterate: Characters of SMS that cost more are replaced.
        first_number: Of several numbers in a cell, the first valid one is taken.
        fields: Values of `FIELDS`.
    """

    kind: str
    text: str | None = attrs.field(default=None, repr=False)
    subject: str | None = attrs.field(default=None, repr=False)
    html: str | None = attrs.field(default=None, repr=False)
    jinja: bool = False
    locale: str | None = None
    transliterate: bool = False
    first_number: bool = False
    fields: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """Take the options of a command out of all that were given.

        Raises:
            InvalidArgumentError: The HTML is not text.
        """
        html: TextIO | None = given.pop("html")
        return cls(
            html=None if html is None else read_text("html", html),
            fields={name: given.pop(name) for name in FIELDS},
            **{name: given.pop(name) for name in _PLAIN},
        )

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self | None:
        """Read the options that a ledger has recorded; ``None`` if it has none."""
        written = metadata.get(metadata_names.COMPOSITION)
        return cls(**json.loads(written)) if written else None

    def written(self) -> str:
        """Write the options for the ledger."""
        return json.dumps(attrs.asdict(self))

    @property
    def recipient(self) -> str:
        """The column of the recipient."""
        return self.fields["to"] or default_recipient(self.kind)

    def composer(self, region: str | None) -> Composer:
        """Make the composer, which checks that a kind has the texts it needs.

        Args:
            region: Country of numbers without country code.

        Raises:
            ConfigurationError: An option is missing, or does not apply to the kind.
            InvalidArgumentError: A template or a value is not valid.
        """
        options: dict[str, Any] = {
            "engine": "jinja" if self.jinja else "plain",
            "locale": self.locale or (f"und_{region}" if region else None),
        }
        content = "whatsapp_content" if self.kind == "whatsapp" else "sms_content"
        texts = {content: ("text", self.text), "subject": ("subject", self.subject)}
        fillers: dict[str, Any] = {
            field: parse_template(name, text, **options)
            for field, (name, text) in texts.items()
            if text is not None
        }
        if self.html is not None:
            fillers["email_content"] = parse_template("html", self.html, **options, html=True)
        return Composer(
            kind=self.kind,  # type: ignore[arg-type]  # click has checked it
            **fillers,
            **self.fields,
            normalise=checker(region) if region or self.kind != "email" else None,
            transliterate=to_gsm7 if self.transliterate else None,
            first_number=self.first_number,
        )


_PLAIN: Final = ("kind", "text", "subject", "jinja", "locale", "transliterate", "first_number")
