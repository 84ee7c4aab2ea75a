"""The command line, ``connectus``. It needs the ``cli`` extra."""

import sys

from connectus_async._program import collect_seldom, ignore_signals
from connectus_async.cli.interrupts import raise_interrupts
from connectus_async.cli.standard_streams import finish_streams, prepare_streams


def main() -> None:
    """Run the command line."""
    try:
        raise_interrupts()
        prepare_streams()
        collect_seldom()
        from connectus_async.cli.commands import connectus  # noqa: PLC0415 - click may be missing

        connectus()
    except ModuleNotFoundError as error:
        if error.name not in {"click", "dotenv", "rich"}:
            raise
        sys.exit(
            "connectus: the command line needs the cli extra: pip install connectus-async[cli]"
        )
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ignore_signals()  # Python would end by them, with another exit code
        finish_streams()
