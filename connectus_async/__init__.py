"""The asyncio-native Connectus SDK: SMS, one-time passwords, email, WhatsApp and bulk campaigns."""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily
from connectus_async._version import __version__ as __version__

if TYPE_CHECKING:
    from connectus_async.answer import Answer as Answer
    from connectus_async.answer import Record as Record
    from connectus_async.answer import Response as Response
    from connectus_async.bulk.outcomes import BulkSummary as BulkSummary
    from connectus_async.bulk.outcomes import MessageOutcome as MessageOutcome
    from connectus_async.bulk.outcomes import Reconciliation as Reconciliation
    from connectus_async.bulk.progress import Delay as Delay
    from connectus_async.bulk.progress import DelayCause as DelayCause
    from connectus_async.bulk.progress import Progress as Progress
    from connectus_async.client import AsyncConnectus as AsyncConnectus
    from connectus_async.errors import AuthenticationError as AuthenticationError
    from connectus_async.errors import BadRequestError as BadRequestError
    from connectus_async.errors import CampaignStoppedError as CampaignStoppedError
    from connectus_async.errors import ClientClosedError as ClientClosedError
    from connectus_async.errors import ConfigurationError as ConfigurationError
    from connectus_async.errors import ConflictError as ConflictError
    from connectus_async.errors import ConnectError as ConnectError
    from connectus_async.errors import ConnectionLostError as ConnectionLostError
    from connectus_async.errors import ConnectusError as ConnectusError
    from connectus_async.errors import ContentTooLargeError as ContentTooLargeError
    from connectus_async.errors import DeliveryTimeoutError as DeliveryTimeoutError
    from connectus_async.errors import HolderGivenUpError as HolderGivenUpError
    from connectus_async.errors import InvalidArgumentError as InvalidArgumentError
    from connectus_async.errors import LedgerError as LedgerError
    from connectus_async.errors import NotFoundError as NotFoundError
    from connectus_async.errors import NotSentError as NotSentError
    from connectus_async.errors import Outcome as Outcome
    from connectus_async.errors import OwnThreadError as OwnThreadError
    from connectus_async.errors import PaymentRequiredError as PaymentRequiredError
    from connectus_async.errors import PermissionDeniedError as PermissionDeniedError
    from connectus_async.errors import ProxyAuthenticationError as ProxyAuthenticationError
    from connectus_async.errors import ProxyError as ProxyError
    from connectus_async.errors import RateLimitError as RateLimitError
    from connectus_async.errors import RejectedError as RejectedError
    from connectus_async.errors import RequestError as RequestError
    from connectus_async.errors import RequestTimeoutError as RequestTimeoutError
    from connectus_async.errors import ServerError as ServerError
    from connectus_async.errors import TooManyOpenFilesError as TooManyOpenFilesError
    from connectus_async.errors import UnexpectedStatusError as UnexpectedStatusError
    from connectus_async.errors import UnknownOutcomeError as UnknownOutcomeError
    from connectus_async.errors import UnprocessableContentError as UnprocessableContentError
    from connectus_async.errors import UnreadableAnswerError as UnreadableAnswerError
    from connectus_async.errors import WebhookError as WebhookError
    from connectus_async.errors import WrongEventLoopError as WrongEventLoopError
    from connectus_async.errors import WrongProcessError as WrongProcessError
    from connectus_async.ledger.records import Loaded as Loaded
    from connectus_async.ledger.states import OnUnknown as OnUnknown
    from connectus_async.ledger.states import SkipReason as SkipReason
    from connectus_async.ledger.states import State as State
    from connectus_async.products.account import Account as Account
    from connectus_async.products.account import Purchase as Purchase
    from connectus_async.products.account import SourceEmail as SourceEmail
    from connectus_async.products.account import SourceNumber as SourceNumber
    from connectus_async.products.account import User as User
    from connectus_async.products.clients import BalanceChange as BalanceChange
    from connectus_async.products.clients import ClientBalance as ClientBalance
    from connectus_async.products.clients import CountryBalance as CountryBalance
    from connectus_async.products.clients import SubClient as SubClient
    from connectus_async.products.clients import SubClients as SubClients
    from connectus_async.products.deliveries import Delivery as Delivery
    from connectus_async.products.email import Email as Email
    from connectus_async.products.email import EmailBalance as EmailBalance
    from connectus_async.products.email import EmailReceipt as EmailReceipt
    from connectus_async.products.email import EmailStatusReport as EmailStatusReport
    from connectus_async.products.messages import Row as Row
    from connectus_async.products.product import Product as Product
    from connectus_async.products.short_links import LinkEvents as LinkEvents
    from connectus_async.products.short_links import ShortLink as ShortLink
    from connectus_async.products.sms import BlockingSmsReceipt as BlockingSmsReceipt
    from connectus_async.products.sms import SentSms as SentSms
    from connectus_async.products.sms import Sms as Sms
    from connectus_async.products.sms import SmsReceipt as SmsReceipt
    from connectus_async.products.sms import SmsReport as SmsReport
    from connectus_async.products.sms import SmsStatusReport as SmsStatusReport
    from connectus_async.products.sms_statuses import SmppStatus as SmppStatus
    from connectus_async.products.sms_statuses import SmsStatus as SmsStatus
    from connectus_async.products.whatsapp import WhatsApp as WhatsApp
    from connectus_async.products.whatsapp import WhatsAppConversation as WhatsAppConversation
    from connectus_async.products.whatsapp import WhatsAppMessage as WhatsAppMessage
    from connectus_async.products.whatsapp import WhatsAppReceipt as WhatsAppReceipt
    from connectus_async.products.whatsapp import WhatsAppStatusReport as WhatsAppStatusReport
    from connectus_async.recipients.quiet_hours import QuietHours as QuietHours
    from connectus_async.recipients.suppression import SuppressionList as SuppressionList
    from connectus_async.segmentation import Encoding as Encoding
    from connectus_async.segmentation import Segments as Segments
    from connectus_async.segmentation import segments as segments
    from connectus_async.sync import Connectus as Connectus
    from connectus_async.transliteration import to_gsm7 as to_gsm7
else:
    __all__, __getattr__, __dir__ = lazily(__name__)
