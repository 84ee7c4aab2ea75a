"""Accepts whatever is sent, and says the text of each message."""

import asyncio
import json
import sys

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"id_sms":"1"}'


def text_of(body):
    try:
        return json.loads(body)["sms_content"]
    except ValueError:
        return body.decode()


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, _, rest = head.partition(b"content-length: ")
            body = await reader.readexactly(int(rest.partition(b"\r\n")[0]))
            print(json.dumps(text_of(body)), flush=True)  # noqa: T201 - the test reads it
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def main():
    async with await asyncio.start_server(serve, "0.0.0.0", int(sys.argv[1])) as server:
        print("listening", flush=True)  # noqa: T201 - the test reads it
        await server.serve_forever()


asyncio.run(main())
