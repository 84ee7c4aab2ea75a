"""How the API says no."""

from __future__ import annotations


class RefusalError(Exception):
    """The API says no, with the HTTP ``status``; the text is the ``error`` of the answer."""

    status = 400

    def __init__(self, subject: str, reason: str) -> None:
        """Say of `subject`, a field as a rule, the `reason`."""
        super().__init__(f"{subject} {reason}")


class NotFoundError(RefusalError):
    """Nothing has the id or the name that was given."""

    status = 404

    def __init__(self, field: str) -> None:
        """Name the field that gave it."""
        super().__init__(field, "not found")


class NoBalanceError(RefusalError):
    """The balance does not cover the request."""

    status = 402

    def __init__(self, product: str) -> None:
        """Name the product whose balance it is."""
        super().__init__(product, "balance is insufficient")
