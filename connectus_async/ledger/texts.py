"""Texts as a database can hold them."""


def storable(text: str) -> str:
    """Remove from a text of the wire what a database cannot hold, or would end at."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "").encode(errors="replace").decode()
