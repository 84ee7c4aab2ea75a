"""Workbooks: sheets of cells, each read as it is shown."""
