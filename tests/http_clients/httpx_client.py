"""httpx, with and without its asynchronous side: httpx_client.py ADDRESS"""

import asyncio
import sys

import httpx

url = f"http://{sys.argv[1]}"
body = bytes(range(256)) * 2_000


def pieces(*sizes):
    start = 0
    for size in sizes:
        yield body[start:start + size]
        start += size


async def later(parts):
    for part in parts:
        yield part


def one_connection(client):
    # The server tells which connection a request came by.
    first = client.get("/peer").text
    for _ in range(100):
        response = client.get("/plaintext")
        assert (response.status_code, response.text) == (200, "Hello, World!"), response
    assert client.get("/nowhere").status_code == 404
    response = client.head("/bytes/1000000")
    assert (response.status_code, response.content) == (200, b""), response
    assert response.headers["Content-Length"] == "1000000", response.headers
    response = client.get("/early-hints")
    assert (response.status_code, response.text) == (200, "after the hints"), response

    answer = b"POST /describe 512000\n" + body
    for content in body, pieces(1, 19_999, 492_000), pieces(*[1] * 100, 511_900):
        assert client.post("/describe", content=content).content == answer
    headers = {"Expect": "100-continue"}
    assert client.post("/describe", content=body, headers=headers).content == answer
    millions = (b"x" * 100_000 for _ in range(80))
    assert client.post("/upload", content=millions).text == "8000000"
    assert client.post("/upload", content=b"x" * 8_000_000).text == "8000000"

    for path in "/bytes/3000000", "/stream/3000000":
        with client.stream("GET", path) as response:
            length = 0
            for piece in response.iter_raw():
                assert piece == b"x" * len(piece)
                length += len(piece)
            assert length == 3_000_000, length
    assert client.get("/peer").text == first, "another connection was made"


async def ask(client, number):
    """Twenty requests, one after the other, of several kinds."""
    for turn in range(5):
        text = f"{number} {turn}".encode() * 1_000
        response = await client.post("/echo", content=later([text, text]))
        assert response.content == text + text, response
        response = await client.post("/describe", content=text)
        assert response.content.endswith(text), response
        response = await client.get(f"/stream/{number * 1_000}")
        assert response.content == b"x" * number * 1_000, response
        response = await client.get("/plaintext")
        assert response.text == "Hello, World!", response


async def many():
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        await asyncio.gather(*(ask(client, number) for number in range(50)))


with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
    one_connection(client)
asyncio.run(many())
print("ok")
