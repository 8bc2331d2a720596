"""aiohttp, which reads while it writes: aiohttp_client.py ADDRESS"""

import asyncio
import sys

import aiohttp

url = f"http://{sys.argv[1]}"
body = bytes(range(256)) * 2_000
made = 0


async def count(*_):
    global made
    made += 1


async def pieces(sizes):
    start = 0
    for size in sizes:
        yield body[start:start + size]
        start += size


async def one_connection(session):
    for _ in range(100):
        async with session.get("/plaintext") as response:
            assert (response.status, await response.text()) == (200, "Hello, World!"), response
    async with session.get("/nowhere") as response:
        assert response.status == 404, response
        await response.read()
    async with session.head("/bytes/1000000") as response:
        assert (response.status, await response.read()) == (200, b""), response
        assert response.headers["Content-Length"] == "1000000", response
    async with session.get("/early-hints") as response:
        assert (response.status, await response.text()) == (200, "after the hints"), response

    answer = b"POST /describe 512000\n" + body
    for data in body, pieces([1, 19_999, 492_000]), pieces([1] * 100 + [511_900]):
        async with session.post("/describe", data=data) as response:
            assert await response.read() == answer, response
    for data in body, pieces([1, 511_999]):
        async with session.post("/describe", data=data, expect100=True) as response:
            assert await response.read() == answer, response
    async with session.post("/echo", data=pieces([1000] * 512)) as response:
        assert await response.read() == body, response
    async with session.post("/echo", data=body * 10) as response:
        assert await response.read() == body * 10, response

    for path in "/bytes/3000000", "/stream/3000000":
        async with session.get(path) as response:
            length = 0
            async for piece in response.content.iter_chunked(10_000):
                assert piece == b"x" * len(piece)
                length += len(piece)
            assert length == 3_000_000, length


async def ask(session, number):
    """Twenty requests, one after the other, of several kinds."""
    for turn in range(5):
        text = f"{number} {turn}".encode() * 1_000
        async with session.post("/echo", data=text) as response:
            assert await response.read() == text, response
        async with session.post("/describe", data=text) as response:
            assert (await response.read()).endswith(text), response
        async with session.get(f"/stream/{number * 1_000}") as response:
            assert await response.read() == b"x" * number * 1_000, response
        async with session.get("/plaintext") as response:
            assert await response.text() == "Hello, World!", response


async def main():
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(count)
    arguments = {"base_url": url, "trace_configs": [trace], "timeout": aiohttp.ClientTimeout(30)}
    async with aiohttp.ClientSession(**arguments) as session:
        await one_connection(session)
        assert made == 1, f"{made} connections were made"
    async with aiohttp.ClientSession(**arguments) as session:
        await asyncio.gather(*(ask(session, number) for number in range(50)))
        assert made <= 51, f"{made - 1} connections for 50 tasks"


asyncio.run(main())
print("ok")
