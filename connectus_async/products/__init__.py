"""A module a product: its messages, its answers and its service."""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.products.account import AccountService
    from connectus_async.products.clients import ClientsService
    from connectus_async.products.deliveries import DeliveriesService
    from connectus_async.products.email import EmailService
    from connectus_async.products.short_links import ShortLinksService
    from connectus_async.products.sms import SmsService
    from connectus_async.products.whatsapp import WhatsAppService
    from connectus_async.products.whatsapp_qr import WhatsAppQrService

_HOMES = {
    "account": ("AccountService",),
    "clients": ("ClientsService",),
    "deliveries": ("DeliveriesService",),
    "email": ("EmailService",),
    "short_links": ("ShortLinksService",),
    "sms": ("SmsService",),
    "whatsapp": ("WhatsAppService",),
    "whatsapp_qr": ("WhatsAppQrService",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)

__all__ = [
    "AccountService",
    "ClientsService",
    "DeliveriesService",
    "EmailService",
    "ShortLinksService",
    "SmsService",
    "WhatsAppQrService",
    "WhatsAppService",
]
