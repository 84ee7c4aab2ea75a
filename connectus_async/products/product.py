"""The products by the number that the API gives them."""

import enum


class Product(enum.IntEnum):
    """What a balance or a delivery is for.

    The API's page on deliveries swaps email and WhatsApp; its three other pages agree on these.
    Any other number can be passed as a plain ``int``.
    """

    SMS = 1
    EMAIL = 2
    WHATSAPP = 3
