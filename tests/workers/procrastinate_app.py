"""An app of Procrastinate, as a user has one: its tasks say on standard output that they run."""

import asyncio
import os

from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE"], min_size=1, max_size=2))


@app.task(name="wait")
async def wait() -> None:
    os.write(1, b"begun\n")
    await asyncio.Event().wait()


if __name__ == "__main__":
    app.run_worker()
