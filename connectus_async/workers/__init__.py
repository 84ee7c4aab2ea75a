"""One campaign, sent by several processes."""
