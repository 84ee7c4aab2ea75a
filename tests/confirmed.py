"""The confirmation of campaigns by a command that has no terminal to ask on."""

ASKS = (["bulk", "send"], ["bulk", "resume"])


def confirmed(*args: object) -> list[str]:
    """Write a command out; one that asks before it sends gets its answer beforehand."""
    words = [str(arg) for arg in args]
    return [*words, "--yes"] if words[:2] in ASKS and "--yes" not in words else words
