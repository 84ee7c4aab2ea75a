"""An emulator with a journal that ends its own process at one request, as a crash would."""

import asyncio
import json
import os
import signal
import sys

from connectus_async.emulator import Emulator, Fault


def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)


async def main(*, port, journal, number=None, after=False):
    async with Emulator(port=port, journal=journal) as emulator:

        def before_acting(now):
            if now == number and not after:
                end()

        def after_acting(now):
            if now == number and after:
                end()

        emulator.fault(Fault.call(before=before_acting, after=after_acting), route="sms.send")
        os.write(1, b"%d\n" % emulator.port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
