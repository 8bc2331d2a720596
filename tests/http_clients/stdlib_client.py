"""Python's own clients, http.client and urllib: stdlib_client.py ADDRESS"""

import http.client
import io
import sys
import urllib.error
import urllib.request

address = sys.argv[1]
url = f"http://{address}"
body = bytes(range(256)) * 2_000


def ask(connection, method, path, **arguments):
    connection.request(method, path, **arguments)
    response = connection.getresponse()
    return response, response.read()


connection = http.client.HTTPConnection(address, timeout=30)

# One connection for all that follows.
for _ in range(100):
    response, text = ask(connection, "GET", "/plaintext")
    assert (response.status, text) == (200, b"Hello, World!"), (response.status, text)
    first = connection.sock if _ == 0 else first

response, text = ask(connection, "GET", "/nowhere")
assert response.status == 404, response.status
for path, length in ("/bytes/1000000", "1000000"), ("/plaintext", "13"), ("/stream/1000000", None):
    response, text = ask(connection, "HEAD", path)
    assert (response.status, text) == (200, b""), (response.status, text)
    assert response.headers["Content-Length"] == length, response.headers

# A list has no length, so it is chunked: one chunk for each item, also for a very short one.
pieces = [body[:1], body[1:20_000], body[20_000:]]
response, text = ask(connection, "POST", "/describe", body=pieces, encode_chunked=True)
assert response.status == 200 and text == b"POST /describe 512000\n" + body, text[:100]
response, text = ask(connection, "PUT", "/describe", body=body)
assert response.status == 200 and text == b"PUT /describe 512000\n" + body, text[:100]
response, text = ask(connection, "POST", "/describe", body=body, headers={"Expect": "100-continue"})
assert response.status == 200 and text == b"POST /describe 512000\n" + body, text[:100]
millions = (b"x" * 100_000 for _ in range(80))
response, text = ask(connection, "POST", "/upload", body=millions, encode_chunked=True)
assert (response.status, text) == (200, b"8000000"), (response.status, text)
response, text = ask(connection, "POST", "/upload", body=io.BytesIO(b"x" * 8_000_000),
                     headers={"Content-Length": "8000000"})
assert (response.status, text) == (200, b"8000000"), (response.status, text)

for path in "/bytes/3000000", "/stream/3000000":
    connection.request("GET", path)
    response = connection.getresponse()
    length = 0
    while piece := response.read(10_000):
        assert piece == b"x" * len(piece)
        length += len(piece)
    assert length == 3_000_000, length
assert connection.sock is first, "another connection was made"
connection.close()

# An answer to what is not read: this client looks for it only when it has sent all.
for sent in b"x" * 10_000_000, (b"x" * 100_000 for _ in range(100)):
    response, text = ask(connection, "POST", "/unread", body=sent)
    assert (response.status, text) == (200, b"unread"), (response.status, text)
    connection.close()

# urllib makes a connection for each request and says so.
with urllib.request.urlopen(f"{url}/plaintext", timeout=30) as response:
    assert response.read() == b"Hello, World!"
    assert response.headers["Connection"] == "close", response.headers
with urllib.request.urlopen(f"{url}/describe", data=body, timeout=30) as response:
    assert response.read() == b"POST /describe 512000\n" + body
with urllib.request.urlopen(f"{url}/stream/3000000", timeout=30) as response:
    assert response.read() == b"x" * 3_000_000
try:
    urllib.request.urlopen(f"{url}/nowhere", timeout=30)
    raise AssertionError("/nowhere was found")
except urllib.error.HTTPError as error:
    assert error.code == 404, error

print("ok")
