"""Reports of a campaign, from its ledger: an export of all messages, and a page of figures."""
