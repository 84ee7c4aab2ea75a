"""Limits of a tracker."""

from typing import Final

CONCURRENCY: Final = 16
"""Maximum concurrent requests, by default."""
