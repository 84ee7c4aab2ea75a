"""Texts as the tables can hold them."""


def storable(text: str) -> str:
    """Remove from a text of the wire what PostgreSQL cannot hold."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\0", "").encode(errors="replace").decode()
