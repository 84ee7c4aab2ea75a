"""The application of `prefork_wsgi`, in a process whose threads are greenlets."""

from gevent import monkey

monkey.patch_all()

from prefork_wsgi import application  # noqa: E402 - patched first

__all__ = ["application"]
