"""Profiles: credentials by name, which `connectus login` stores.

A file that only its owner reads has the settings of each profile. The secrets among them are in the
keyring of the system where there is one.
"""

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import click

from connectus_async.defaults import ENVIRONMENT
from connectus_async.errors import ConfigurationError

DEFAULT: Final = "default"
OPTION: Final = "--profile"
VARIABLE: Final = "CONNECTUS_PROFILE"
FILE_VARIABLE: Final = "CONNECTUS_PROFILES_FILE"
APPLICATION: Final = "connectus"
SERVICE: Final = "connectus-async"
"""Name under which the keyring keeps the secrets."""

SECRETS: Final = frozenset({"api_key", "qr_token"})
IN_KEYRING: Final = "in_keyring"
MAX_BYTES: Final = 2**20
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
TRUSTED_PRIORITY: Final = 1
"""Priority from which the library recommends a keyring; others store plain text, or nothing."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

Profiles = dict[str, dict[str, Any]]


def checked(name: str) -> str:
    """Check the name of a profile.

    Raises:
        ConfigurationError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(OPTION, "must have 1 to 64 letters, digits, - and _")
    return name


def path() -> Path:
    """Return the place of the file: as the environment says, or in the user's settings."""
    given = os.environ.get(FILE_VARIABLE)
    return Path(given) if given else Path(click.get_app_dir(APPLICATION), "profiles.toml")


def names() -> list[str]:
    """List the profiles.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    return sorted(_read())


def read(name: str) -> dict[str, str] | None:
    """Read the settings of a profile, with its secrets.

    Returns:
        Settings by their names in the library, or ``None`` if there is no such profile.

    Raises:
        ConfigurationError: The file cannot be used, or the keyring does not give a secret.
    """
    profile = _read().get(checked(name))
    if profile is None:
        return None
    kept = profile.pop(IN_KEYRING, ())
    return profile | {secret: _from_keyring(name, secret) for secret in kept}


def read_without_secrets(name: str) -> dict[str, str]:
    """Read the settings of a profile that are no secrets; none if there is no such profile.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    profile = _read().get(checked(name), {})
    return {name: value for name, value in profile.items() if name not in {*SECRETS, IN_KEYRING}}


def write(name: str, settings: Mapping[str, str], *, uses_keyring: bool) -> str | None:
    """Add settings to a profile, or replace them.

    Args:
        name: Name of the profile.
        settings: Settings by their names in the library.
        uses_keyring: Whether secrets go to the keyring where there is one.

    Returns:
        Name of the keyring that has the secrets now; ``None`` if the file has them.

    Raises:
        ConfigurationError: The file cannot be used.
        OSError: It cannot be written.
    """
    profiles = _read()
    profile = profiles.setdefault(checked(name), {})
    in_keyring = set(profile.pop(IN_KEYRING, ()))
    keyring = _keyring() if uses_keyring else None
    for setting, value in settings.items():
        profile.pop(setting, None)
        if setting in SECRETS and keyring is not None and _is_kept(keyring, name, setting, value):
            in_keyring.add(setting)
        else:
            profile[setting] = value
            in_keyring.discard(setting)
    if in_keyring:
        profile[IN_KEYRING] = sorted(in_keyring)
    _write(profiles)
    if keyring is None or not in_keyring >= SECRETS & settings.keys():
        return None
    return str(keyring.name)


def remove(name: str) -> bool:
    """Remove a profile, and its secrets from the keyring.

    Returns:
        ``False`` if there was no such profile.

    Raises:
        ConfigurationError: The file cannot be used.
        OSError: It cannot be written.
    """
    profiles = _read()
    profile = profiles.pop(checked(name), None)
    if profile is None:
        return False
    for secret in profile.get(IN_KEYRING, ()):
        with suppress(Exception):  # it may be gone already, and each keyring has its own errors
            import_module("keyring").delete_password(SERVICE, _entry(name, secret))
    _write(profiles)
    return True


def is_readable_by_others(file: Path) -> bool:
    """Tell whether others than its owner may read or write a file; Windows has no such mode."""
    return os.name != "nt" and bool(file.stat().st_mode & OTHERS)


def _read() -> Profiles:
    file = path()
    try:
        if is_readable_by_others(file):
            raise ConfigurationError(OPTION, f"others can read {file}: chmod 600 {file}")
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES).decode()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise _unreadable(file, "it is not UTF-8 text") from None
    except OSError as error:
        raise _unreadable(file, (error.strerror or "it cannot be read").lower()) from None
    try:
        profiles = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # its words may have a key in them
        raise _unreadable(file, "it is not TOML") from None
    for profile in profiles.values():
        _check(file, profile)
    return profiles


def _check(file: Path, profile: object) -> None:
    if not isinstance(profile, dict):
        raise _unreadable(file, "it has a setting outside of a profile")
    for setting, value in profile.items():
        if setting != IN_KEYRING and setting not in ENVIRONMENT:
            raise _unreadable(file, f"{setting!r} is not a setting")
        if not isinstance(value, list if setting == IN_KEYRING else str):
            raise _unreadable(file, "it has a setting of the wrong type")
    if not SECRETS.issuperset(map(str, profile.get(IN_KEYRING, ()))):
        raise _unreadable(file, f"it has other names than those of secrets in {IN_KEYRING}")


def _unreadable(file: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(OPTION, f"{file} cannot be used: {problem}")


def _write(profiles: Profiles) -> None:
    """Replace the file at once; a temporary file is its owner's alone from the beginning."""
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as temporary:
        try:
            temporary.write("\n".join(map(_table, profiles.items())))
            temporary.flush()
            os.fsync(temporary.fileno())
            temporary.close()
            Path(temporary.name).replace(file)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


def _table(profile: tuple[str, Mapping[str, Any]]) -> str:
    name, settings = profile
    # What is printable, as settings are, is written in JSON as in TOML.
    written = ((key, json.dumps(value, ensure_ascii=False)) for key, value in settings.items())
    lines = (f"{key} = {value}\n" for key, value in written)
    return f"[{name}]\n{''.join(lines)}"


def _keyring() -> Any | None:
    """Find a keyring that keeps secrets from others."""
    try:
        found = import_module("keyring").get_keyring()
        is_trusted = found.priority >= TRUSTED_PRIORITY
    except Exception:  # noqa: BLE001 - not installed, or not usable here: each has its own errors
        return None
    return found if is_trusted else None


def _is_kept(keyring: Any, name: str, secret: str, value: str) -> bool:
    try:
        keyring.set_password(SERVICE, _entry(name, secret), value)
        return bool(keyring.get_password(SERVICE, _entry(name, secret)) == value)
    except Exception:  # noqa: BLE001 - as above
        return False


def _from_keyring(name: str, secret: str) -> str:
    try:
        value = import_module("keyring").get_password(SERVICE, _entry(name, secret))
    except Exception:  # noqa: BLE001 - as above
        value = None
    if not value:
        raise ConfigurationError(
            OPTION,
            f"the keyring does not give the key of {name}: unlock it, or run `connectus login`",
        ) from None
    return str(value)


def _entry(name: str, secret: str) -> str:
    return f"{name}.{secret}"
