"""An application for gunicorn to preload: it handles an event before the fork and after."""

import os

from connectus_async import tracking, webhooks

handler = tracking.LedgerHandler(os.environ["LEDGER"])
handler(webhooks.parse({"status": "ENTREGADO", "id_sms": "a"}))

application = webhooks.wsgi(handler, secret="secreto-quetzal-4471")
