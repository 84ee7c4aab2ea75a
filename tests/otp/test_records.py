"""The record of a recipient's codes, as a machine of states."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connectus_async.otp.limits import Counts, OtpLimit, wait_of_recipient
from connectus_async.otp.records import OtpCheck, Record

ATTEMPTS, VALID_FOR, WINDOW = 3, 100.0, OtpLimit(4, 300)
CODES = st.sampled_from(["a" * 64, "b" * 64, "c" * 64])


class OneRecipient(RuleBasedStateMachine):
    """Somebody asks for codes and types some, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: bytes | None = None
        self.now = 1_000_000.0
        self.code: str | None = None
        self.expires_at = 0.0
        self.wrong = 0
        self.sent: list[float] = []

    @rule(seconds=st.sampled_from([0.0, 1.0, 50.0, 99.0, 100.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(code=CODES)
    def ask(self, code: str) -> None:
        record = Record.read(self.stored)
        allowed = len([it for it in self.sent if it > self.now - WINDOW.seconds]) < WINDOW.most
        assert (wait_of_recipient(record.sent, WINDOW, 0, self.now) is None) is allowed
        if allowed:
            issued = record.issued(code, self.now, valid_for=VALID_FOR, remembered=WINDOW.seconds)
            self.stored = issued.written()
            self.code, self.expires_at, self.wrong = code, self.now + VALID_FOR, 0
            self.sent.append(self.now)

    @rule(code=CODES)
    def check(self, code: str) -> None:
        result, record = Record.read(self.stored).checked(code, self.now, ATTEMPTS)
        self.stored = record.written() if self.stored else None
        if self.code is None or self.now >= self.expires_at:
            assert result is OtpCheck.EXPIRED
            self.code = None
        elif self.wrong >= ATTEMPTS:
            assert result is OtpCheck.EXHAUSTED
        elif code == self.code:
            assert result is OtpCheck.VALID
            self.code = None
        else:
            assert result is OtpCheck.WRONG
            self.wrong += 1

    @invariant()
    def a_code_has_no_more_than_its_attempts(self) -> None:
        assert Record.read(self.stored).attempts <= ATTEMPTS


TestOneRecipient = OneRecipient.TestCase
TestOneRecipient.settings = settings(max_examples=60, stateful_step_count=30)


class ManyRecipients(RuleBasedStateMachine):
    """Codes to numbers of a prefix never exceed the limit in any stretch of its time."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counts()
        self.now = 1_000_000.0
        self.sent: list[float] = []

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        wait = self.counts.wait(WINDOW, self.now)
        recent = [it for it in self.sent if it > self.now - WINDOW.seconds]
        if wait:
            assert wait <= WINDOW.seconds * 13 / 12
            assert not self.counts.wait(WINDOW, self.now + wait)
            return
        assert len(recent) < WINDOW.most
        self.counts = Counts.read(self.counts.changed(WINDOW, self.now, 1).written())
        self.sent.append(self.now)


TestManyRecipients = ManyRecipients.TestCase
TestManyRecipients.settings = settings(max_examples=60, stateful_step_count=30)
