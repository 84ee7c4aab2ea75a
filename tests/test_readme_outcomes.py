"""The README's table of statuses matches the one that decides outcomes."""

from pathlib import Path

from connectus_async.statuses import table

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- statuses: written by connectus_async.statuses.table() -->\n"
END = "\n<!-- end of statuses -->\n"


def test_the_readme_shows_the_statuses_as_they_are():
    """`python -c "from connectus_async.statuses import table; print(table())"` writes it."""
    _, _, rest = README.read_text("utf-8").partition(BEGIN)
    shown, end, _ = rest.partition(END)

    assert end
    assert shown.strip("\n") == table()
