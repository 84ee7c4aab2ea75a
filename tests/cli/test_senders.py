"""How a campaign is divided among processes."""

import pytest

from connectus_async.cli.sender_process import _take_part
from connectus_async.cli.senders import parts
from connectus_async.cli.settings import Settings
from connectus_async.errors import ConfigurationError


@pytest.mark.parametrize(("concurrency", "processes"), [(64, 2), (64, 3), (5, 5), (400, 7)])
def test_the_limits_are_shared(concurrency, processes):
    """All have them together; what they are not to decide, they are not told."""
    settings = Settings(
        concurrency=concurrency,
        processes=processes,
        rate=10,
        rate_unit="segments",
        suppress="stop.txt",
        budget=7,
        on_unknown="resend",
        forget_content=True,
    )
    shares = parts(settings)

    assert len(shares) == processes
    assert sum(share.concurrency for share in shares) == concurrency
    assert max(share.concurrency for share in shares) - concurrency // processes in {0, 1}
    assert sum(share.rate for share in shares) == pytest.approx(10)
    for share in shares:
        assert (share.processes, share.budget, share.forget_content) == (1, None, False)
        assert (share.on_unknown, share.rate_unit, share.suppress) == (
            "hold",
            "segments",
            "stop.txt",
        )


def test_without_a_rate_there_is_none_to_share():
    """Each process then sends as fast as the API takes it."""
    assert [share.rate for share in parts(Settings(processes=2))] == [None, None]


async def test_a_sender_of_another_version():
    """It was installed while the command ran: it does not take part."""
    with pytest.raises(ConfigurationError, match="was installed meanwhile"):
        await _take_part({"version": "0.0"}, None)


def test_more_processes_than_cores_are_no_error_but_more_than_messages_at_a_time_are():
    """Each needs at least one message of its own to send."""
    Settings(processes=64).options(None)
    with pytest.raises(ConfigurationError, match="must be at most the concurrency, which is 64"):
        Settings(processes=65).options(None)
