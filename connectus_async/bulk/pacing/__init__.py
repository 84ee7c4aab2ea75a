"""Pacing of a campaign: the rate and the concurrency that the user and the server allow.

Two controllers that know nothing of each other: the rate answers to 429, the concurrency to
failures and to latency. `Pacer` applies both.
"""

from connectus_async.bulk.pacing.pacer import Pacer
from connectus_async.bulk.pacing.signals import Signal

__all__ = ["Pacer", "Signal"]
