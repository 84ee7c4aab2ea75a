"""The command line, ``connectus``. It needs the ``cli`` extra."""

import signal
import sys

from connectus_async.cli.garbage import look_seldom
from connectus_async.cli.streams import finish_streams, prepare_streams


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _interrupt)
    prepare_streams()
    look_seldom()
    try:
        from connectus_async.cli.commands import connectus  # noqa: PLC0415 - click may be missing

        connectus()
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit(
            "connectus: the command line needs the cli extra: pip install connectus-async[cli]"
        )
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)  # Python would end by it, with another exit code
        finish_streams()


def _interrupt(*_: object) -> None:
    """End as with Ctrl-C, even in a background job, where Ctrl-C itself is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
