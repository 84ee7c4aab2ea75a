"""Gunicorn's configuration: a worker closes the sockets that gunicorn would leave open."""


def worker_exit(_server, worker):
    for listener in worker.sockets:
        listener.close()
