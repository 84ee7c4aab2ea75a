"""Names of arguments as the user of a command line knows them."""

from collections.abc import Mapping
from typing import Final

import click

from connectus_async.defaults import ENVIRONMENT

OTHER_NAMES: Final[Mapping[str, str]] = {
    "sms_content": "text",
    "whatsapp_content": "text",
    "email_content": "html",
    "dst_number": "to",
    "dst_email": "to",
    "suppression": "suppress",
    "target": "to",
}
"""Options that fill an argument of another name."""


def option_name(argument: str) -> str:
    """Name an argument as the present command does: ``--text``, ``FILE``, or its variable.

    Args:
        argument: Its name in the library; any other text stays as it is.
    """
    context = click.get_current_context(silent=True)
    for name in (argument, OTHER_NAMES.get(argument)):
        for parameter in context.command.params if context else ():
            if parameter.name == name and context is not None:
                return _written(parameter, context)
    return ENVIRONMENT.get(argument, argument)


def _written(parameter: click.Parameter, context: click.Context) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(context)
    return max(parameter.opts, key=len)
