"""What writes parts of this package; nothing of it runs in a program that uses the package."""
