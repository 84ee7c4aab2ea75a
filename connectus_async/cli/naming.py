"""Names of arguments as the user of a command line knows them."""

from collections.abc import Callable, Mapping
from typing import Final

import click
from click.core import ParameterSource

from connectus_async.cli.language import gettext as _
from connectus_async.defaults import ENVIRONMENT
from connectus_async.errors import (
    ConfigurationError,
    ConnectusError,
    InvalidArgumentError,
    LibraryMissingError,
)

OTHER_NAMES: Final[Mapping[str, str]] = {
    "sms_content": "text",
    "whatsapp_content": "text",
    "email_content": "html",
    "dst_number": "to",
    "dst_email": "to",
    "suppression": "suppress",
    "target": "to",
    "ledger": "address",
    "folder": "where",
}
"""Options that fill an argument of another name."""

WORDS: Final[Mapping[str, Callable[[], str]]] = {
    "credentials": lambda: _("credentials"),
    "row": lambda: _("row"),
}
"""Words that an error has in place of the name of an argument."""

_GIVEN: Final = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})


def option_name(argument: str) -> str:
    """Name an argument as the present command does: ``--text``, ``FILE``, or its variable.

    Args:
        argument: Its name in the library; any other text stays as it is.
    """
    if argument.startswith("--"):
        return argument
    name, bracket, place = argument.partition("[")  # numbers[1] is of NUMBERS
    parameter = _parameter(name)
    if parameter is None:
        word = WORDS.get(argument)
        return ENVIRONMENT.get(argument, argument) if word is None else word()
    if isinstance(parameter, click.Argument):
        metavar = parameter.make_metavar(click.get_current_context())
        return metavar.removesuffix("...") + bracket + place
    return max(parameter.opts, key=len)


def is_about_usage(error: ConnectusError) -> bool:
    """Tell whether an error is about what was typed for the present command, or left out.

    Then it names an argument or option of it. An error about the content of a file names the file.
    """
    match error:
        case LibraryMissingError():
            return False
        case ConfigurationError(setting=name) | InvalidArgumentError(field=name):
            name = name.partition("[")[0]
            parameter = _parameter(name)
        case _:
            return False
    if parameter is None:
        return False
    if parameter.expose_value and name == parameter.name:
        return True
    # these are settings, which the environment or a file has as well
    return click.get_current_context().get_parameter_source(str(parameter.name)) in _GIVEN


def _parameter(argument: str) -> click.Parameter | None:
    """Find the parameter of the present command that an error names."""
    context = click.get_current_context(silent=True)
    for name in (argument, OTHER_NAMES.get(argument)):
        for parameter in context.command.params if context else ():
            if name in {parameter.name, *parameter.opts, *parameter.secondary_opts}:
                return parameter
    return None
