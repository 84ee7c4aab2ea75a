"""Reports of a campaign: an export of all messages, and a page of figures.

They ask a `LedgerReader`, so they know no SQL and change nothing.
"""
