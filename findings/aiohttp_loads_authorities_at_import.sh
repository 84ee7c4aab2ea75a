#!/usr/bin/env bash
# aiohttp 3.14.5.
#
# Expected: the certificate authorities of the system are loaded by the first request that needs
# TLS, or with the session that makes it.
# Seen: `import aiohttp` loads them, in a program that never uses TLS as well; a session
# loads nothing more. It is a large part of the time that the import takes.
#
# Output seen:
#   import: 1
#   session: 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet aiohttp==3.14.5
seen=$("$folder/venv/bin/python" - <<'PY'
import asyncio
import ssl

loaded = 0
load = ssl.SSLContext.load_default_certs


def counted(self, *args, **kwargs):
    global loaded
    loaded += 1
    return load(self, *args, **kwargs)


ssl.SSLContext.load_default_certs = counted
import aiohttp

print("import:", loaded)


async def main():
    async with aiohttp.ClientSession():
        print("session:", loaded)


asyncio.run(main())
PY
)
echo "$seen"
[ "$seen" = $'import: 1\nsession: 1' ]
