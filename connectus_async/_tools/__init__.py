"""Generators of parts of this package. No program that uses the package runs them."""
