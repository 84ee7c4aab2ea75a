"""Runs tests with an aiohttp that is newer and has other private names, as a later one may."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader

import pytest

RENAMED = {"self._factory": "self._make_protocol", "_get(": "_take(", "_release(": "_put_back("}


class Renaming(SourceFileLoader):
    """Renames the private parts of a module when it is loaded."""

    def get_code(self, _):
        source = self.get_data(self.path).decode()
        for before, after in RENAMED.items():
            assert before in source
            source = source.replace(before, after)
        return compile(source, self.path, "exec")


class Finder(MetaPathFinder):
    """Finds the connector of aiohttp, to be renamed."""

    def find_spec(self, fullname, path, target=None):
        if fullname != "aiohttp.connector":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        spec.loader = Renaming(fullname, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())

import aiohttp  # noqa: E402 - renamed

assert not hasattr(aiohttp.BaseConnector, "_get")
aiohttp.__version__ = "3.99.0"
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
