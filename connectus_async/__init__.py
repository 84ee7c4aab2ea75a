"""The asyncio-native Connectus SDK: SMS, one-time passwords, email, WhatsApp and bulk campaigns."""

from connectus_async._version import __version__
from connectus_async.answer import Answer, Record, Response
from connectus_async.client import AsyncConnectus
from connectus_async.errors import (
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    ConnectusError,
    ContentTooLargeError,
    InvalidArgumentError,
    NotFoundError,
    NotSentError,
    Outcome,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    RejectedError,
    RequestError,
    RequestTimeoutError,
    ServerError,
    UnexpectedStatusError,
    UnknownOutcomeError,
    UnprocessableContentError,
    UnreadableAnswerError,
    WrongEventLoopError,
)
from connectus_async.products.email import Email
from connectus_async.products.product import Product
from connectus_async.products.sms import SmppStatus, Sms, SmsStatus
from connectus_async.products.whatsapp import WhatsApp
from connectus_async.segments import Encoding, Segments, segments
from connectus_async.sync import Connectus

__all__ = [
    "Answer",
    "AsyncConnectus",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "ConnectionLostError",
    "Connectus",
    "ConnectusError",
    "ContentTooLargeError",
    "Email",
    "Encoding",
    "InvalidArgumentError",
    "NotFoundError",
    "NotSentError",
    "Outcome",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "Product",
    "RateLimitError",
    "Record",
    "RejectedError",
    "RequestError",
    "RequestTimeoutError",
    "Response",
    "Segments",
    "ServerError",
    "SmppStatus",
    "Sms",
    "SmsStatus",
    "UnexpectedStatusError",
    "UnknownOutcomeError",
    "UnprocessableContentError",
    "UnreadableAnswerError",
    "WhatsApp",
    "WrongEventLoopError",
    "__version__",
    "segments",
]
