"""Defaults of settings, and their environment variables."""

from collections.abc import Mapping
from typing import Final

TIME_ZONE: Final = "America/Santiago"
DEFAULT_TIMEOUT: Final = 30.0

KERNEL_SENDS_FOR: Final = 10.0
"""Seconds for which the kernel may still send written bytes that are not acknowledged.

The bytes of an abandoned request, or of a killed process, are discarded at once. This limit applies
where that is impossible: in a stopped process, or a blocked event loop.
"""

ENVIRONMENT: Final[Mapping[str, str]] = {
    "api_user": "CONNECTUS_API_USER",
    "api_key": "CONNECTUS_API_KEY",
    "qr_token": "CONNECTUS_QR_TOKEN",
    "base_url": "CONNECTUS_BASE_URL",
    "qr_base_url": "CONNECTUS_QR_BASE_URL",
    "time_zone": "CONNECTUS_TIME_ZONE",
    "ca_file": "CONNECTUS_CA_FILE",
}
"""Settings that can come from the environment, with their variables; for proxies see `proxies`."""
