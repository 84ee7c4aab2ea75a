"""End of a campaign's command: whoever asked for it is told, and the process ends with its code."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from connectus_async.cli.campaigns import Standing, read_standing
from connectus_async.cli.exit_codes import ExitCode
from connectus_async.cli.language import gettext as _
from connectus_async.cli.ledgers import Place
from connectus_async.cli.parameters import finish_settings
from connectus_async.cli.runner import complain, sentence
from connectus_async.errors import LedgerError
from connectus_async.ledger import metadata_names, name_of
from connectus_async.ledger.states import State

COMMAND_SECONDS: Final = 600
POST_SECONDS: Final = 10
STANDARD_ERROR: Final = 2


def end_campaign(command: Callable[[], int], ledger: Place) -> NoReturn:
    """Run the command of a campaign, tell how it ended, and end the process with its code.

    Args:
        command: Runs the command, and returns its exit code.
        ledger: The ledger of the campaign.
    """
    try:
        code = command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else ExitCode.FAILED
    settings = finish_settings()
    tellers = {"on_finish": _run, "webhook_on_finish": _post}
    if wanted := {name: settings[name] for name in tellers if settings.get(name)}:
        document = json.dumps(summary_of(ledger, ExitCode(code))).encode()
        for name, target in wanted.items():
            try:
                tellers[name](target, document)
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                flag = f"--{name.replace('_', '-')}"
                complain(_("{flag} failed: {why}").format(flag=flag, why=_reason(error)))
    sys.exit(code)


def share_to_record() -> dict[str, str]:
    """Write the share of failures that the present command tolerates, for its ledger."""
    share = finish_settings().get("fail_above")
    return {} if share is None else {metadata_names.FAIL_ABOVE: str(share)}


def summary_of(ledger: Place, code: ExitCode) -> dict[str, Any]:
    """Sum up how a campaign ended, without personal data.

    Args:
        ledger: Its ledger, which may not be readable any more.
        code: The exit code of its command.
    """
    try:
        standing: Standing | None = read_standing(ledger)
    except LedgerError:
        standing = None
    return {
        "type": "summary",
        "ledger": name_of(ledger),
        "campaign": standing.name if standing else None,
        "exit_code": int(code),
        "meaning": code.meaning,
        "stopped_by": standing.reason if standing else None,
        "counts": {str(it): standing.counts.get(it, 0) for it in State} if standing else None,
        "skipped": dict(standing.skipped) if standing else None,
    }


def _run(command: str, document: bytes) -> None:
    """Run a command by the shell; what it prints goes to standard error, as ours is for us."""
    done = subprocess.run(  # noqa: S602 - the user's own command, as in a crontab
        command,
        shell=True,
        input=document,
        stdout=STANDARD_ERROR,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        raise OSError(_("it ended with code {code}").format(code=done.returncode))


def _post(url: str, document: bytes) -> None:
    """Post a document. Any answer but a 2xx is an error."""
    from urllib.request import Request, urlopen  # noqa: PLC0415 - for few commands

    headers = {"Content-Type": "application/json"}
    request = Request(url, document, headers)  # noqa: S310 - its scheme was checked
    with urlopen(request, timeout=POST_SECONDS):  # noqa: S310 - as above
        pass


def _reason(error: Exception) -> str:
    """Say what went wrong, without the command or the URL, which may have a secret."""
    if isinstance(error, subprocess.TimeoutExpired):
        return _("it took more than {seconds} seconds").format(seconds=COMMAND_SECONDS)
    return sentence(getattr(error, "reason", None) or error)
