"""Token bucket: the arithmetic of a rate limit. It neither waits nor reads a clock."""

from typing import Final


class TokenBucket:
    """Token bucket with a short burst.

    A message that costs more than the capacity passes when the bucket is full, and leaves a debt.

    Attributes:
        rate: Tokens per second.
        tokens: Tokens that are available now; a debt if below 0.
    """

    BURST: Final = 0.1
    """Capacity, in seconds of the rate: a timer may be late by milliseconds, the rate may not."""

    ROUNDING: Final = 1e-6

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.tokens = self.capacity
        self._filled_at = now

    @property
    def capacity(self) -> float:
        """Maximum number of tokens; at least 1, the cost of a message."""
        return max(1.0, self.rate * self.BURST)

    def fill(self, now: float) -> float:
        """Add the tokens that have come since the last call.

        Returns:
            Seconds the bucket was full and unused.
        """
        elapsed = max(0.0, now - self._filled_at)
        self._filled_at += elapsed
        tokens = self.tokens + elapsed * self.rate
        self.tokens = min(tokens, self.capacity)
        return (tokens - self.tokens) / self.rate

    def set_rate(self, rate: float) -> None:
        """Change the rate; tokens above the new capacity are lost."""
        self.rate = rate
        self.tokens = min(self.tokens, self.capacity)

    def pause(self, until: float) -> None:
        """Stop filling until a moment, but for the token of the one message sent after a pause."""
        comes = max(0.0, until - self._filled_at) * self.rate
        self.tokens = max(self.tokens, min(1.0, self.tokens + comes))
        self._filled_at = max(until, self._filled_at)

    def empty(self) -> None:
        """Drop all tokens, but keep a debt."""
        self.tokens = min(0.0, self.tokens)

    def wait(self, cost: float) -> float:
        """Return the seconds until a cost may pass; 0 if it may now."""
        missing = min(cost, self.capacity) - self.tokens
        return missing / self.rate if missing > self.ROUNDING else 0.0

    def take(self, cost: float) -> None:
        """Take a cost from the bucket."""
        self.tokens -= cost

    def give_back(self, cost: float) -> None:
        """Undo a `take` that was not used."""
        self.tokens = min(self.tokens + cost, self.capacity)
