"""Choice of the credentials: ``--profile``, the environment, ``.env``, or a profile.

A user and a key belong together: both come from the first place that has one of them.
"""

import os
from enum import StrEnum
from typing import Final, NamedTuple

from connectus_async.cli import env_file, profiles
from connectus_async.defaults import ENVIRONMENT
from connectus_async.errors import ConfigurationError

SETTINGS: Final = ("api_user", "api_key", "qr_token")
MISSING: Final = "credentials"
"""The setting that an error names if there are no credentials at all."""

VARIABLES: Final = tuple(ENVIRONMENT[setting] for setting in SETTINGS)


class Place(StrEnum):
    """Place that credentials come from."""

    ENVIRONMENT = "environment"
    ENV_FILE = ".env"
    PROFILE = "profile"
    NOWHERE = "nowhere"


class Choice(NamedTuple):
    """Credentials, and where they were found.

    Attributes:
        place: The place.
        profile: Name of the profile, if they are of one.
        settings: Settings to pass to a client; those of the environment are left out.
    """

    place: Place
    profile: str | None = None
    settings: dict[str, str] = {}  # noqa: RUF012 - nobody changes it

    def __repr__(self) -> str:
        return f"Choice({self.place!r}, {self.profile!r}, {sorted(self.settings)})"


def chosen(profile: str | None) -> Choice:
    """Choose the credentials of a command.

    Args:
        profile: Value of ``--profile``, which precedes the environment.

    Raises:
        ConfigurationError: There is no such profile, or it cannot be read, or ``.env`` says where
            credentials of another place should go.
    """
    place, name = _place_of(profile)
    if place is not Place.PROFILE:
        if place is Place.ENVIRONMENT:
            env_file.check_route()
        return Choice(place)
    settings = profiles.read(name or profiles.DEFAULT)
    if settings is None:
        if name is not None:
            raise no_profile(name)
        return Choice(Place.NOWHERE)
    env_file.check_route()
    for variable in VARIABLES:  # or a token of another account would complete the profile
        os.environ.pop(variable, None)
    return Choice(place, name or profiles.DEFAULT, settings)


def missing() -> ConfigurationError:
    """Say what to do without credentials."""
    return ConfigurationError(
        MISSING,
        "are missing: run `connectus login`, or set CONNECTUS_API_USER and CONNECTUS_API_KEY "
        "(CONNECTUS_QR_TOKEN for WhatsApp QR)",
    )


def check_pair() -> None:
    """Refuse a user without a key, or a key without a user, of the environment or ``.env``.

    Raises:
        ConfigurationError: One of them is missing.
    """
    names = [ENVIRONMENT[setting] for setting in ("api_user", "api_key")]
    present = [name for name in names if os.environ.get(name)]
    if len(present) == 1:
        (absent,) = {*names} - {*present}
        raise ConfigurationError(absent, f"is missing: set it as well, since {present[0]} is set")


def _place_of(profile: str | None) -> tuple[Place, str | None]:
    """Find the first place that has credentials, or names a profile that does."""
    if profile is not None:
        return Place.PROFILE, profile
    present = [name for name in VARIABLES if os.environ.get(name)]
    if any(not env_file.has_added(name) for name in present):
        return Place.ENVIRONMENT, None
    named = os.environ.get(profiles.VARIABLE) or None
    if present and (named is None or env_file.has_added(profiles.VARIABLE)):
        return Place.ENV_FILE, None
    return Place.PROFILE, named


def no_profile(name: str) -> ConfigurationError:
    """Say that there is no such profile, and which there are."""
    known = ", ".join(profiles.names())
    if known:
        return ConfigurationError(profiles.OPTION, f"there is no {name} among the profiles {known}")
    return ConfigurationError(
        profiles.OPTION, f"there are no profiles: `connectus login --profile {name}` makes this one"
    )
