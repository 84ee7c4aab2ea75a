"""Products, by their numbers in the API."""

import enum


class Product(enum.IntEnum):
    """Product of a balance or a delivery.

    The API's page on deliveries swaps email and WhatsApp; its other three pages agree on these
    numbers. Pass any other number as a plain ``int``.
    """

    SMS = 1
    EMAIL = 2
    WHATSAPP = 3
