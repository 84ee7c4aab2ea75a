"""Engine of campaigns: from a source of messages, a bounded number at a time, to their outcomes.

It asks a ledger through its doors. It knows no file format, no template and no SQL.
"""
