"""One-time passwords by both clients: sent once, accepted once, limited."""

import re
from collections import Counter
from typing import Any

import anyio
import pytest

from connectus_async import (
    AsyncConnectus,
    ConfigurationError,
    InvalidArgumentError,
    Outcome,
    RequestError,
)
from connectus_async.emulator import Emulator, Fault
from connectus_async.otp import MemoryOtpStorage, OtpCheck, OtpLimit, OtpLimitError

ANA = "56987688060"
ADDRESS = "ana@example.com"


class Clock:
    """A time that passes when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def code_of(emulator: Emulator) -> str:
    """The code in the last message."""
    (code,) = re.findall(r"\b\d{4,10}\b", emulator.received[-1].content)
    return code


def other_than(code: str) -> str:
    return code[:-1] + str((int(code[-1]) + 1) % 10)


async def test_a_code_is_sent_and_accepted_once(connectus: AsyncConnectus, emulator: Emulator):
    """And Connectus keeps only a hash of the text."""
    otp = connectus.otp(text="{code} es tu clave por {minutes} minutos")
    receipt = await otp.send_sms("+56 9 8768 8060")
    (sms,) = emulator.received
    code = code_of(emulator)

    assert (sms.recipient, sms.content, sms.hashed) == (
        ANA,
        f"{code} es tu clave por 10 minutos",
        True,
    )
    assert receipt.id == sms.id
    assert (receipt.expires_at - receipt.resend_at).total_seconds() == pytest.approx(570)
    assert await otp.verify(ANA, code) is OtpCheck.VALID
    assert await otp.verify(ANA, code) is OtpCheck.EXPIRED
    assert emulator.requests == {"sms.send_otp": 1}


async def test_a_code_is_sent_by_email(connectus: AsyncConnectus, emulator: Emulator):
    """An address is the same in any case."""
    otp = connectus.otp(subject="Tu acceso")
    await otp.send_email(ADDRESS, src_email="tienda@example.com")
    (email,) = emulator.received

    assert (email.recipient, email.subject) == (ADDRESS, "Tu acceso")
    assert await otp.verify("ANA@Example.com", code_of(emulator))


@pytest.mark.parametrize("typed", ["{} ", "{:.3}-{:.3}", "{:.3} {:.3}"])
async def test_a_code_is_accepted_as_people_type_it(
    client: AsyncConnectus, emulator: Emulator, typed: str
):
    """With blanks or a hyphen, and its number in another spelling."""
    otp = client.otp(region="MX")
    await otp.send_sms("5215512345678")
    code = code_of(emulator)
    assert await otp.verify(
        "55 1234 5678", typed.format(code[:3] if "." in typed else code, code[3:])
    )


def test_only_a_valid_code_is_true():
    """A result stands in an `if` as it reads."""
    assert [result for result in OtpCheck if result] == [OtpCheck.VALID]


async def test_wrong_codes_use_up_the_attempts(connectus: AsyncConnectus, emulator: Emulator):
    """Then the right one is not accepted either; another code is."""
    otp = connectus.otp(attempts=3, resend_after=0)
    await otp.send_sms(ANA)
    code = code_of(emulator)
    for typed in (other_than(code), "", "9" * 1_000):
        assert await otp.verify(ANA, typed) is OtpCheck.WRONG
    assert await otp.verify(ANA, code) is OtpCheck.EXHAUSTED

    await otp.send_sms(ANA)
    assert await otp.verify(ANA, code_of(emulator)) is OtpCheck.VALID


async def test_no_more_attempts_are_answered_when_they_arrive_at_once(
    client: AsyncConnectus, emulator: Emulator
):
    """However they meet in the storage."""
    otp = client.otp(storage=Slow(), attempts=5)
    await otp.send_sms(ANA)
    code, answers = code_of(emulator), Counter[OtpCheck]()

    async def guess() -> None:
        answers[await otp.verify(ANA, other_than(code))] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(guess)
    assert answers == {OtpCheck.WRONG: 5, OtpCheck.EXHAUSTED: 15}


async def test_one_of_two_who_type_a_code_at_once_gets_in(
    client: AsyncConnectus, emulator: Emulator
):
    """A code is accepted once."""
    otp = client.otp(storage=Slow())
    await otp.send_sms(ANA)
    code, answers = code_of(emulator), Counter[OtpCheck]()

    async def use() -> None:
        answers[await otp.verify(ANA, code)] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(use)
    assert answers == {OtpCheck.VALID: 1, OtpCheck.EXPIRED: 9}


class Slow(MemoryOtpStorage):
    """A storage that lets others come between."""

    async def get(self, key: str) -> bytes | None:
        found = await super().get(key)
        await anyio.lowlevel.checkpoint()
        return found


async def test_a_code_expires(connectus: AsyncConnectus, emulator: Emulator, clock: Clock):
    """At its time, not after."""
    otp = connectus.otp(valid_for=300, clock=clock)
    await otp.send_sms(ANA)
    clock.now += 300
    assert await otp.verify(ANA, code_of(emulator)) is OtpCheck.EXPIRED


async def test_a_clock_that_was_set_back_does_not_make_a_code_last(
    client: AsyncConnectus, emulator: Emulator, clock: Clock
):
    """The clocks of machines may differ by a minute."""
    otp = client.otp(clock=clock)
    await otp.send_sms(ANA)
    clock.now -= 61
    assert await otp.verify(ANA, code_of(emulator)) is OtpCheck.EXPIRED


async def test_a_new_code_replaces_the_one_before(
    connectus: AsyncConnectus, emulator: Emulator, clock: Clock
):
    """It may be sent after a while."""
    otp = connectus.otp(clock=clock, resend_after=30)
    await otp.send_sms(ANA)
    first = code_of(emulator)
    with pytest.raises(
        OtpLimitError, match=r"\(resend_after\); nothing was sent: wait 30 s"
    ) as caught:
        await otp.send_sms(ANA)
    assert (caught.value.limit, caught.value.retry_after) == ("resend_after", 30)
    clock.now += 30
    await otp.send_sms(ANA)
    second = code_of(emulator)

    assert emulator.requests["sms.send_otp"] == 2
    assert await otp.verify(ANA, first) is (OtpCheck.VALID if first == second else OtpCheck.WRONG)
    assert await otp.verify(ANA, second) is OtpCheck.VALID


async def test_a_recipient_gets_so_many_codes_in_a_time(
    connectus: AsyncConnectus, emulator: Emulator, clock: Clock
):
    """Used codes count, too, and so do other spellings of the number."""
    otp = connectus.otp(per_recipient=OtpLimit(2, 600), resend_after=0, clock=clock)
    await otp.send_sms("525512345678")
    clock.now += 200
    await otp.send_sms("5215512345678")
    await otp.verify("525512345678", code_of(emulator))
    with pytest.raises(OtpLimitError) as caught:
        await otp.send_sms("525512345678")
    assert (caught.value.limit, caught.value.retry_after) == ("per_recipient", 400)
    clock.now += 400
    await otp.send_sms("525512345678")
    assert emulator.requests["sms.send_otp"] == 3


async def test_the_time_between_two_codes_may_be_longer_than_that_of_the_limit(
    connectus: AsyncConnectus, emulator: Emulator, clock: Clock
):
    """The last code is remembered for as long."""
    otp = connectus.otp(
        per_recipient=OtpLimit(5, 10), resend_after=3_600, valid_for=60, clock=clock
    )
    await otp.send_sms(ANA)
    clock.now += 3_599
    with pytest.raises(OtpLimitError, match="resend_after"):
        await otp.send_sms(ANA)
    assert len(emulator.received) == 1
    clock.now += 1
    await otp.send_sms(ANA)


@pytest.mark.parametrize(
    ("limit", "others"), [("per_prefix", "56987688061"), ("per_country", "56987600000")]
)
async def test_numbers_of_a_prefix_or_a_country_get_so_many_codes(
    connectus: AsyncConnectus, emulator: Emulator, clock: Clock, limit: str, others: str
):
    """Numbers that ask one after another earn their owner money."""
    otp = connectus.otp(**{limit: OtpLimit(1, 600)}, clock=clock)
    await otp.send_sms(ANA)
    with pytest.raises(OtpLimitError, match=limit) as caught:
        await otp.send_sms(others)
    assert 600 <= caught.value.retry_after <= 650
    await otp.send_sms("5491123456789")
    assert [sms.recipient for sms in emulator.received] == [ANA, "5491123456789"]
    clock.now += caught.value.retry_after
    await otp.send_sms(others)


async def test_the_older_spelling_of_a_number_is_of_the_same_prefix(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Otherwise a range would get as many codes again for each spelling of it."""
    otp = connectus.otp(per_prefix=OtpLimit(1, 600))
    await otp.send_sms("525512345678")
    with pytest.raises(OtpLimitError, match="per_prefix"):
        await otp.send_sms("5215512345679")


async def test_numbers_of_other_countries_get_no_codes(
    connectus: AsyncConnectus, emulator: Emulator
):
    """Only those that are served."""
    otp = connectus.otp(countries={"CL"})
    with pytest.raises(
        InvalidArgumentError, match="dst_number: is of a country that gets no codes"
    ):
        await otp.send_sms("+54 9 11 2345 6789")
    assert not emulator.requests
    await otp.send_sms(ANA)


async def test_a_code_that_was_not_sent_leaves_everything_as_it_was(
    connectus: AsyncConnectus, emulator: Emulator, clock: Clock
):
    """The code before is valid, and another may be sent at once."""
    otp = connectus.otp(
        clock=clock, per_recipient=OtpLimit(2, 600), per_prefix=OtpLimit(2, 600), resend_after=30
    )
    await otp.send_sms(ANA)
    code = code_of(emulator)
    clock.now += 30
    with emulator.fault(Fault.status(400), route="sms.send_otp"):
        for _ in range(3):
            with pytest.raises(RequestError) as caught:
                await otp.send_sms(ANA)
    assert caught.value.outcome is Outcome.REJECTED
    assert await otp.verify(ANA, code)
    await otp.send_sms(ANA)


async def test_a_code_that_may_have_been_sent_is_valid_and_counts(
    connectus: AsyncConnectus, emulator: Emulator
):
    """It is not sent again by itself."""
    otp = connectus.otp()
    with (
        emulator.fault(Fault.reset_after(), route="sms.send_otp"),
        pytest.raises(RequestError) as caught,
    ):
        await otp.send_sms(ANA)
    assert caught.value.outcome is Outcome.UNKNOWN
    with pytest.raises(OtpLimitError):
        await otp.send_sms(ANA)
    assert emulator.requests["sms.send_otp"] == 1
    assert await otp.verify(ANA, code_of(emulator))


async def test_a_code_is_for_one_recipient_and_one_purpose(
    client: AsyncConnectus, emulator: Emulator
):
    """A code to log in does not confirm a payment."""
    storage = MemoryOtpStorage()
    login = client.otp(storage=storage, purpose="login")
    payment = client.otp(storage=storage, purpose="payment")
    await login.send_sms(ANA)
    code = code_of(emulator)

    assert await payment.verify(ANA, code) is OtpCheck.EXPIRED
    assert await login.verify("56987688061", code) is OtpCheck.EXPIRED
    assert await login.verify(ANA, code) is OtpCheck.VALID


@pytest.mark.parametrize(
    ("sent_to", "other"),
    [
        ("ana@straße.de", "ana@strasse.de"),
        ("ana@xn--strae-oqa.de", "ana@strasse.de"),
        ("ana@example.com", "ana@xn--example-.com"),
        ("mi\N{KELVIN SIGN}e@example.com", "mike@example.com"),
        ("\N{LATIN SMALL LETTER LONG S}am@example.com", "sam@example.com"),
    ],
)
async def test_a_code_is_not_of_an_address_that_only_looks_alike(
    connectus: AsyncConnectus, emulator: Emulator, sent_to: str, other: str
):
    """Each may be somebody's own: who gets the code of one would take over the other's account."""
    otp = connectus.otp()
    await otp.send_email(sent_to, src_email="tienda@example.com")

    assert await otp.verify(other, code_of(emulator)) is OtpCheck.EXPIRED
    assert await otp.verify(sent_to, code_of(emulator)) is OtpCheck.VALID


async def test_an_address_is_the_same_with_its_domain_in_punycode_or_in_capitals(
    connectus: AsyncConnectus, emulator: Emulator
):
    otp = connectus.otp(resend_after=0)
    for spelling in ("ANA@ÑANDÚ.CL", "ana@xn--and-6ma2c.cl", "Ana@n\u0303andu\u0301.cl."):
        await otp.send_email("ana@ñandú.cl", src_email="tienda@example.com")

        assert await otp.verify(spelling, code_of(emulator))


async def test_the_storage_knows_neither_numbers_nor_codes(
    client: AsyncConnectus, emulator: Emulator
):
    """Whoever reads it cannot use it, nor learn who has an account."""
    storage = MemoryOtpStorage()
    await client.otp(storage=storage, per_country=OtpLimit(9, 60)).send_sms(ANA)
    kept = repr(storage._entries)

    assert len(storage._entries) == 3
    assert ANA not in kept
    assert ANA[3:] not in kept
    assert code_of(emulator) not in re.sub(r"\d+\.\d+", "", kept)


async def test_another_secret_checks_no_code(client: AsyncConnectus, emulator: Emulator):
    """All who share a storage need the same."""
    storage = MemoryOtpStorage()
    await client.otp(storage=storage, secret="a" * 16).send_sms(ANA)
    other = client.otp(storage=storage, secret=b"b" * 16)
    assert await other.verify(ANA, code_of(emulator)) is OtpCheck.EXPIRED


@pytest.mark.parametrize(
    ("option", "wrong", "problem"),
    [
        ("text", "Hola", "has no {code}"),
        ("digits", 3, "must be 4 to 10"),
        ("valid_for", 0, "must be a positive number"),
        ("attempts", 2.5, "must be a whole number, at least 1"),
        ("resend_after", -1, "must be a number of seconds, or 0"),
        ("countries", "CL", 'must be ISO codes in capitals, such as {"CL"}'),
        ("countries", {"cl"}, 'must be ISO codes in capitals, such as {"CL"}'),
        ("secret", "short", "is shorter than 16 bytes"),
    ],
)
async def test_a_wrong_option_is_named(
    connectus: AsyncConnectus, option: str, wrong: Any, problem: str
):
    """When the object is made, before anybody asks for a code."""
    with pytest.raises(ConfigurationError) as caught:
        connectus.otp(**{option: wrong})
    assert (caught.value.setting, caught.value.problem) == (option, problem)


async def test_a_text_with_another_column_is_refused(client: AsyncConnectus):
    """It would go out with a hole in it."""
    with pytest.raises(InvalidArgumentError, match="'name'"):
        client.otp(text="{name}: {code}")


async def test_codes_have_all_their_digits_and_are_uniform(
    client: AsyncConnectus, emulator: Emulator
):
    """Zeros in front included; seven standard deviations are no accident."""
    otp = client.otp(
        text="{code}",
        digits=4,
        resend_after=0,
        per_recipient=OtpLimit(2_000, 600),
        per_prefix=None,
    )
    async with anyio.create_task_group() as tasks:
        for number in range(400):
            tasks.start_soon(otp.send_sms, 56_987_688_000 + number)
    codes = [sms.content for sms in emulator.received]
    digits = Counter("".join(codes))

    assert {len(code) for code in codes} == {4}
    assert all(abs(digits[str(digit)] - 160) < 7 * 12 for digit in range(10))
    assert len(set(codes)) > 300
