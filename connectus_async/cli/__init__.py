"""The command line, ``connectus``. It needs the ``cli`` extra."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from connectus_async.cli.commands import connectus  # noqa: PLC0415 - click may be missing
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit("connectus: the command line needs the cli extra: pip install connectus-async[cli]")
    connectus()
