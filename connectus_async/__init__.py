"""The asyncio-native Connectus SDK: SMS, one-time passwords, email, WhatsApp and bulk campaigns."""

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
from connectus_async.products.sms import Sms, SmppStatus, SmsStatus
from connectus_async.products.whatsapp import WhatsApp
from connectus_async.segments import Encoding, Segments, segments

__version__ = "0.1.0"

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
    "Sms",
    "SmppStatus",
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
