"""The script that people write by hand to send an SMS to each row of a file.

``file_to_phone`` compares ``connectus bulk send`` with it. It checks and remembers nothing, and
an error ends it all.
"""

import asyncio
import csv
import os
import sys

import aiohttp


async def main(path: str, country_code: str) -> None:
    """Send to all rows, 64 at a time."""
    semaphore = asyncio.Semaphore(64)
    url = os.environ["CONNECTUS_BASE_URL"] + "/sms/send_individual"
    auth = aiohttp.encode_basic_auth(
        os.environ["CONNECTUS_API_USER"], os.environ["CONNECTUS_API_KEY"]
    )

    async def send(row: dict[str, str]) -> None:
        text = f"Hola {row['name']}, tu pedido {row['order']} va en camino."
        body = {"dst_number": int(country_code + row["dst_number"]), "sms_content": text}
        async with semaphore, session.post(url, json=body) as response:
            response.raise_for_status()
            await response.json()

    async with aiohttp.ClientSession(headers={"Authorization": auth}) as session:
        with open(path, encoding="utf-8", newline="") as file:  # noqa: ASYNC230, PTH123 - as people do
            await asyncio.gather(*(send(row) for row in csv.DictReader(file)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
