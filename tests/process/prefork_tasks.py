"""A task for Celery: its client is used before the pool forks and in each child."""

import json
import os

from celery import Celery

from connectus_async import Connectus

app = Celery(
    broker="filesystem://localhost", broker_transport_options=json.loads(os.environ["BROKER"])
)
connectus = Connectus()
connectus.account.get()


@app.task(ignore_result=True)
def send():
    connectus.sms.send("56987688060", str(os.getpid()))
