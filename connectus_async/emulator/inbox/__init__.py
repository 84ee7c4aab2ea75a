"""Inbox of the emulator: its messages on a page, and by a JSON API."""
