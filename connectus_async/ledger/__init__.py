"""What a campaign remembers of each message. No other package knows a database."""
