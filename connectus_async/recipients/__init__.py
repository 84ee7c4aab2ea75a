"""From a table of recipients to checked messages."""
