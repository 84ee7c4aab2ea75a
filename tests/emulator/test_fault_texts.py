"""Faults written as text, on the command line and in the inbox."""

import re

import pytest

from connectus_async.emulator import Emulator, FaultText


@pytest.mark.parametrize(
    ("text", "name", "route", "share", "times"),
    [
        ("delay:0.5", "delay 0.5 s", None, 1.0, None),
        ("*=reset_before", "reset_before", None, 1.0, None),
        ("sms.send=status:500,share=0.1", "status 500", "sms.send", 0.1, None),
        ("sms.send = status:502 , acted , times=3", "status 502", "sms.send", 1.0, 3),
        ("whatsapp_qr.groups.send=timeout", "timeout", "whatsapp_qr.groups.send", 1.0, None),
        ("too_many", "too_many", None, 1.0, None),
        ("too_many:30", "too_many", None, 1.0, None),
        ("queue:0.1,at_a_time=4", "queue 0.1 s", None, 1.0, None),
    ],
)
def test_a_text_is_a_fault(text, name, route, share, times):
    """The call, the fault with its number, and options."""
    fault = FaultText.parse(text)

    assert (fault.fault.name, fault.route, fault.share, fault.times) == (name, route, share, times)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "fault must be one of delay"),
        ("explode", "'explode'"),
        ("sms.sing=timeout", "route must be a method"),
        ("delay", "delay must be a number"),
        ("delay:soon", "'soon'"),
        ("delay:-1", "'-1'"),
        ("delay:nan", "'nan'"),
        ("delay:inf", "'inf'"),
        ("status:0.5", "status must be a whole number"),
        ("status:99", "code must be 200 to 599"),
        ("timeout:5", "timeout takes no number"),
        ("timeout,acted", "'acted' is not an option of timeout"),
        ("timeout,at_a_time=2", "'at_a_time=2' is not an option of timeout"),
        ("status:500,acted=1", "'acted=1'"),
        ("status:500,", "''"),
        ("timeout,share=0", "share must be above 0"),
        ("timeout,share=2", "share must be above 0"),
        ("timeout,share=x", "'x'"),
        ("timeout,times=0", "times must be at least 1"),
        ("timeout,times=1.5", "times must be a whole number"),
        ("queue:1,at_a_time=0", "at_a_time must be at least 1"),
    ],
)
def test_a_wrong_text_is_named(text, named):
    """By what is wrong with it."""
    with pytest.raises(ValueError, match=re.escape(named)):
        FaultText.parse(text)


async def test_a_text_has_the_effect_of_its_fault(calling):
    """A proxy's answer after the message is sent, and a rejection with a pause."""
    async with Emulator() as emulator:
        call = calling(emulator)
        statuses = []
        for text in ("too_many:30,times=1", "sms.send=status:502,acted,times=1", "delay:0"):
            fault = FaultText.parse(text)
            emulator.fault(fault.fault, route=fault.route, share=fault.share, times=fault.times)
            async with call.session.post(
                f"{emulator.base_url}/sms/send_individual",
                json={"dst_number": "56987688060", "sms_content": "Hola"},
                headers={"Authorization": call.basic},
            ) as response:
                statuses.append((response.status, response.headers.get("Retry-After")))
        assert statuses == [(429, "30"), (502, None), (200, None)]
        assert len(emulator.received) == 2
