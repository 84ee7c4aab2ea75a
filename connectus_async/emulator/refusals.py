"""Errors of the API."""

from __future__ import annotations


class RefusalError(Exception):
    """The API rejects a request with the HTTP ``status``; the text is the response's ``error``."""

    status = 400

    def __init__(self, subject: str, reason: str) -> None:
        """Combine a `subject`, usually a field, with a `reason`."""
        super().__init__(f"{subject} {reason}")


class NotFoundError(RefusalError):
    """Nothing has the given id or name."""

    status = 404

    def __init__(self, field: str) -> None:
        """Name the field."""
        super().__init__(field, "not found")


class NoBalanceError(RefusalError):
    """The balance does not cover the request."""

    status = 402

    def __init__(self, product: str) -> None:
        """Name the product of the balance."""
        super().__init__(product, "balance is insufficient")
