"""Webhooks: what the platform posts when the status of an SMS changes, or one comes in."""

from connectus_async.webhooks.events import Event, IncomingSms, StatusUpdate, UnknownEvent, parse

__all__ = ["Event", "IncomingSms", "StatusUpdate", "UnknownEvent", "parse"]
