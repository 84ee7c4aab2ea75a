"""Products. Each module has the messages, answers and service of one."""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.products.account import AccountService as AccountService
    from connectus_async.products.clients import ClientsService as ClientsService
    from connectus_async.products.deliveries import DeliveriesService as DeliveriesService
    from connectus_async.products.email import EmailService as EmailService
    from connectus_async.products.short_links import ShortLinksService as ShortLinksService
    from connectus_async.products.sms import SmsService as SmsService
    from connectus_async.products.whatsapp import WhatsAppService as WhatsAppService
    from connectus_async.products.whatsapp_qr import WhatsAppQrService as WhatsAppQrService
else:
    __all__, __getattr__, __dir__ = lazily(__name__)
