"""``python -m connectus_async`` is the command line."""

from connectus_async.cli import main

main()
