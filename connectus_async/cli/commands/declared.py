"""Declaration of commands that make one call of a service, by data."""

from collections.abc import Callable
from typing import Any

import click

from connectus_async.cli.parameters import Decorator, chained, connection_options, json_option
from connectus_async.recipients.encoding import UTF_8

identifier = click.argument("id")
dst_number = click.argument("dst_number")
numbers = click.argument("numbers", nargs=-1, required=True)
group_name = click.argument("group_name")
html = click.argument("email_content", type=click.File(encoding=UTF_8))


def adder(group: click.Group, service: str) -> Callable[..., None]:
    """Return a function that adds commands to a group.

    Args:
        group: The group.
        service: Service of the client that they call, such as ``clients``.
    """

    def add(
        method: str, help: str, *parameters: Decorator, name: str = "", shown_by: str = "answer"
    ) -> None:
        """Add a command whose parameters are those of a method.

        Args:
            method: Method of the service.
            help: Help of the command.
            parameters: Its arguments and options, by the names of the method's.
            name: Name of the command, if it is another than the method's.
            shown_by: Function of `calls` that makes the call and prints the result.
        """

        @group.command(name or method.replace("_", "-"), help=help)
        @chained(*parameters)
        @connection_options
        @json_option
        def command(as_json: bool, **given: Any) -> None:
            from connectus_async.cli import calls

            getattr(calls, shown_by)(f"{service}.{method}", given, as_json=as_json)

    return add
