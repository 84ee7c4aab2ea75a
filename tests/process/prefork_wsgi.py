"""An application for gunicorn to preload: its client is used before the fork and in each worker."""

import os

from connectus_async import Connectus

connectus = Connectus()
connectus.account.get()


def application(_environ, start_response):
    connectus.sms.send("56987688060", str(os.getpid()))
    start_response("204 No Content", [])
    return []
