"""One-time passwords: codes by SMS or email, generated, sent and checked without a server of ours.

``connectus.otp()`` of both clients makes a `OneTimePasswords`::

    otp = connectus.otp(text="Tu clave es {code}. Vence en {minutes} minutos.")
    await otp.send_sms("56987688060")
    if await otp.verify("56987688060", request.form["code"]):
        ...

**Codes.** A code is random and uniform. The storage has a keyed hash of it, and keyed hashes
in place of numbers and addresses; whoever reads the storage without the key learns neither. A new
code replaces the one before. A code is accepted once, before it expires, and within a number of
attempts, which counts every check that was answered, however many arrive at once.

**Sending.** The code is recorded before it is sent. Where it certainly was not sent, the record is
as before, and may be sent at once. Where it may have been sent, nothing is sent again by itself,
and the code is valid if it arrives.

**Storage.** `MemoryOtpStorage` is of one process and is lost with it. `FileOtpStorage` is shared by
the processes of a machine. For several machines, give an object of your own with the two methods of
`OtpStorage`, over Redis or a database.

**Threats.**

- Guessing: with the defaults, somebody who may ask for codes gets 25 attempts in ten minutes at one
  of a million codes. Limit the requests of an address or session too; this package sees neither.
- Enumeration: show the same sentence for every result of `OneTimePasswords.verify` that is not
  valid, and for numbers that have no account. A check takes as long for a right code as for a wrong
  one, and one round trip to the storage more or less for nobody.
- SMS pumping, where numbers that earn somebody money ask for codes: set `countries` to those that
  you serve. `per_prefix` limits numbers that differ in their last three digits, `per_country` all
  numbers of a country. A limit that is reached keeps others waiting, so that it costs an attacker
  little to block a range; a captcha before the request is the remedy.
- Clocks: times are those of the machine. A code of a clock more than a minute ahead of ours is not
  accepted.
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.otp.file_storage import FileOtpStorage as FileOtpStorage
    from connectus_async.otp.limits import OtpLimit as OtpLimit
    from connectus_async.otp.limits import OtpLimitError as OtpLimitError
    from connectus_async.otp.passwords import OneTimePasswords as OneTimePasswords
    from connectus_async.otp.records import OtpCheck as OtpCheck
    from connectus_async.otp.records import OtpReceipt as OtpReceipt
    from connectus_async.otp.storage import BlockingOtpStorage as BlockingOtpStorage
    from connectus_async.otp.storage import MemoryOtpStorage as MemoryOtpStorage
    from connectus_async.otp.storage import OtpStorage as OtpStorage
    from connectus_async.otp.storage import OtpStorageError as OtpStorageError
else:
    __all__, __getattr__, __dir__ = lazily(__name__)
