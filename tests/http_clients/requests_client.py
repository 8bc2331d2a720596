"""requests, which is urllib3 inside: requests_client.py ADDRESS"""

import io
import sys

import requests

url = f"http://{sys.argv[1]}"
body = bytes(range(256)) * 2_000
session = requests.Session()
session.trust_env = False

for _ in range(100):
    response = session.get(f"{url}/plaintext", timeout=30)
    assert (response.status_code, response.text) == (200, "Hello, World!"), response
assert session.get(f"{url}/nowhere", timeout=30).status_code == 404

response = session.head(f"{url}/bytes/1000000", timeout=30)
assert (response.status_code, response.content) == (200, b""), response
assert response.headers["Content-Length"] == "1000000", response.headers
response = session.options(f"{url}/describe", timeout=30)
assert response.content == b"OPTIONS /describe 0\n", response.content


def pieces():
    yield body[:1]
    yield body[1:20_000]
    yield body[20_000:]


response = session.post(f"{url}/describe", data=pieces(), timeout=30)
assert response.content == b"POST /describe 512000\n" + body, response
response = session.put(f"{url}/describe", data=io.BytesIO(body), timeout=30)
assert response.content == b"PUT /describe 512000\n" + body, response
response = session.post(f"{url}/describe", data=body, headers={"Expect": "100-continue"}, timeout=30)
assert response.content == b"POST /describe 512000\n" + body, response
response = session.post(f"{url}/upload", data=(b"x" * 100_000 for _ in range(80)), timeout=30)
assert response.text == "8000000", response
response = session.post(f"{url}/upload", files={"file": io.BytesIO(b"x" * 8_000_000)}, timeout=30)
assert response.text == response.request.headers["Content-Length"], response

for path in "/bytes/3000000", "/stream/3000000":
    with session.get(f"{url}{path}", stream=True, timeout=30) as response:
        length = 0
        for piece in response.iter_content(10_000):
            assert piece == b"x" * len(piece)
            length += len(piece)
        assert length == 3_000_000, length

pool = session.get_adapter(url).poolmanager.connection_from_url(url)
assert pool.num_connections == 1, f"{pool.num_connections} connections were made"
print("ok")
