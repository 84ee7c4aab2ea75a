"""What a campaign's ledger tells people: a table of all messages, and one page to pass on."""
