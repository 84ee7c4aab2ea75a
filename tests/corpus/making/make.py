"""Make the files of the corpus again: ``python tests/corpus/making/make.py``.

Needs LibreOffice, Gnumeric, R and SQLite's shell, and the Python libraries that it imports. The
files are committed, and tests read those: a newer program may write others, which are looked at
before they are committed.
"""

import frames
import layouts
import spreadsheets
import workbooks

if __name__ == "__main__":
    for module in (workbooks, frames, layouts, spreadsheets):
        module.make()
