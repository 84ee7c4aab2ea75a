"""Names of a campaign's metadata that go through the doors of a ledger.

A store may have further names of its own; nobody else knows those.
"""

from typing import Final

NAME: Final = "name"
"""The campaign's name."""

IDENTITY: Final = "identity"
"""How duplicates are recognised."""

CREATED_AT: Final = "created_at"
"""Time at which the ledger was created, in Unix seconds."""

ONE_SPELLING: Final = "one_spelling"
"""Present if the keys were made by `keys.recipient_key`. A campaign without it, which is older,
keeps its own way to make them, or each person with two spellings would be new."""

LOADED: Final = "loaded"
"""``"1"`` if a source was loaded to its end, ``"0"`` if not."""

CLOCK_OFFSETS: Final = "clock_offsets"
"""Offsets of the API's clock from ours, in seconds, as a JSON list."""

SETTINGS: Final = "settings"
"""Options of the command line, as a JSON object."""

SOURCE: Final = "source"
"""Name of the file of recipients."""

SOURCE_FILE: Final = "source_file"
"""Path and hash of that file, and the number of its load, as a JSON object of the command line."""

SOURCE_QUERY: Final = "source_query"
"""Query that the recipients came from, and the address of its database without a password, as a
JSON object of the command line; empty if they came from a file."""

COMPOSITION: Final = "composition"
"""Texts and columns of the messages, as a JSON object of the command line."""

LOAD: Final = "reading"
"""The number of the last load."""

TEMPLATES: Final = "templates"
"""Hashes of the templates of the loads, each with the number of its first load, as a JSON list."""

FAIL_ABOVE: Final = "fail_above"
"""Share of rejected and invalid messages that the command line tolerates, from 0 to 1."""

STOPPED: Final = "stopped"
"""The reason why the campaign stopped last; empty once it goes on."""

STOPPED_CODE: Final = "stopped_code"
"""The exit code of the command that stopped; it counts while there is a reason."""

DELAYS: Final = "delays"
"""Delays that the sender of the command line has reported last, as a JSON list; they count while
somebody sends."""

PROFILE: Final = "profile"
"""Profile of the command line that the campaign is sent with; empty if none has to be named."""

ACCOUNT: Final = "account"
"""Hash of the address of the API and of the user; empty if there is no user."""

AT_MOST: Final = "at_most"
"""Frequency cap of the command line, and the folder in which it counts, as a JSON object; empty if
there is none."""

DELIVERY: Final = "delivery"
"""Identifier of the API's delivery that all messages of the command line are in, if they are."""

DELIVERY_AT: Final = "delivery_at"
"""Time of that delivery, in ISO 8601."""
