"""A module a product: its messages, its answers and its service."""
