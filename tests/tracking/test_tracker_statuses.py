"""Which word about an SMS counts, and what a poll's word says in those of webhooks."""

import copy
import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import DeliveryTimeoutError, Outcome, SmppStatus, SmsStatus
from connectus_async.products.sms_polling import JITTER, PollSchedule
from connectus_async.products.sms_statuses import is_news, rank, webhook_status

WORDS = [*SmsStatus, SmsStatus("LEIDO")]


def last_of(words):
    status = None
    for word in words:
        if is_news(word, status):
            status = word
    return status


@given(st.lists(st.sampled_from(WORDS), min_size=1), st.randoms())
def test_the_same_words_give_the_same_status_in_whatever_order(words, chance):
    """Once or twice, late or early."""
    shuffled = [*words, *words]
    chance.shuffle(shuffled)

    assert last_of(words) is last_of(shuffled) or last_of(words) == last_of(shuffled)


def test_every_final_word_comes_after_every_other_one():
    """And of two final ones, ENTREGADO counts: it was on the phone."""
    finals = [word for word in WORDS if word.is_final]
    others = [word for word in WORDS if not word.is_final]

    assert {SmsStatus.ENTREGADO, SmsStatus.NO_ENTREGABLE, SmsStatus.NUMERO_INVALIDO} == set(finals)
    assert all(is_news(final, other) for final, other in itertools.product(finals, others))
    assert not any(is_news(other, final) for final, other in itertools.product(finals, others))
    assert max(finals, key=rank) is SmsStatus.ENTREGADO


@pytest.mark.parametrize(
    ("smpp", "word"),
    [
        ("DELIVRD", SmsStatus.ENTREGADO),
        ("UNDELIV", SmsStatus.NO_ENTREGABLE),
        ("EXPIRED", SmsStatus.NO_ENTREGABLE),
        ("ESME_RINVDSTADR", SmsStatus.NUMERO_INVALIDO),
        ("ESME_RPROHIBITED", SmsStatus.NO_ENTREGABLE),
        ("ESPERANDO_RESPUESTA", SmsStatus.ESPERANDO_RESPUESTA),
        ("ESME_ROK", None),
        ("ESME_RTHROTTLED", None),
        ("ESME_RMSGQFUL", None),
        ("ESME_RX_T_APPN", None),
        ("ESME_RNEW", None),
        ("ENROUTE", None),
    ],
)
def test_what_a_poll_says_is_put_in_the_words_of_webhooks(smpp, word):
    """What may pass, and what is not known, says nothing."""
    assert webhook_status(SmppStatus(smpp)) is word
    assert webhook_status(None) is None


def test_pauses_double_up_to_the_longest_and_are_spread():
    """Also after more polls than a float can double."""
    backoff = PollSchedule(2, 15)

    assert [2, 4, 8, 15, 15] == [backoff.length(polls) for polls in (0, 1, 2, 3, 10**6)]
    drawn = [backoff.pause(0) for _ in range(1_000)]
    assert 2 * (1 - JITTER) <= min(drawn) < max(drawn) <= 2 * (1 + JITTER)
    assert max(drawn) - min(drawn) > JITTER


@given(st.floats(0.1, 100), st.floats(0.1, 1_000), st.integers(0, 30))
def test_as_many_polls_are_due_as_there_were_pauses(first, longest, polls):
    """Neither one more just before, nor one less just after."""
    backoff = PollSchedule(first, longest)
    age = sum(backoff.length(number) for number in range(polls))

    assert backoff.polls_within(age * (1 + 1e-9)) == polls
    assert polls == 0 or backoff.polls_within(age * (1 - 1e-9)) == polls - 1


def test_the_error_of_a_delivery_that_took_too_long_is_a_timeout():
    """Its SMS was accepted; it goes through a pickle as it is."""
    error = DeliveryTimeoutError(60)

    assert isinstance(error, TimeoutError)
    assert error.outcome is Outcome.ACCEPTED
    assert str(error) == "no final status within 60 s"
    assert str(DeliveryTimeoutError(None)) == "no final status within the tracking time"
    assert str(pickle.loads(pickle.dumps(error))) == str(copy.copy(error)) == str(error)
