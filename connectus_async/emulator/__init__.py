"""Emulator of the Connectus API on loopback: stateful, with injectable faults, reproducible."""

from connectus_async.emulator.disorder import WebhookDisorder
from connectus_async.emulator.fault_texts import FaultText
from connectus_async.emulator.faults import Fault, PlacedFault
from connectus_async.emulator.journal import JournalError
from connectus_async.emulator.messages import Received
from connectus_async.emulator.server import Emulator

__all__ = [
    "Emulator",
    "Fault",
    "FaultText",
    "JournalError",
    "PlacedFault",
    "Received",
    "WebhookDisorder",
]
