"""A client on Python's own http.client: HOST PORT NAME. Prints ok, or fails."""

import hashlib
import http.client
import json
import sys

host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = http.client.HTTPConnection(host, port, timeout=30)
connection.connect()
socket = connection.sock


def ask(method, path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    chunked = "Transfer-Encoding" in headers
    headers["Host"] = name
    connection.request(method, path, body=body, headers=headers, encode_chunked=chunked)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, (answer.status, text)
    assert connection.sock is socket, "the connection was not kept"
    return answer, text


def echo(*arguments, **headers):
    return json.loads(ask(*arguments, **headers)[1])


body = bytes(range(256)) * 4000
digest = hashlib.sha256(body).hexdigest()
for turn in range(5):
    seen = echo("GET", f"/turn?{turn}")
    assert seen["path"] == f"/turn?{turn}", seen
    assert seen["headers"]["host"] == name, seen
seen = echo("POST", "/length", body)
assert (seen["length"], seen["sha256"]) == (len(body), digest), seen
pieces = (body[at : at + 9999] for at in range(0, len(body), 9999))
seen = echo("PUT", "/chunked", pieces, Transfer_Encoding="chunked")
assert (seen["length"], seen["sha256"]) == (len(body), digest), seen
answer, text = ask("HEAD", "/head")
assert text == b"" and answer.getheader("Content-Type") == "application/json"
assert ask("GET", "/chunks")[1] == b"".join(b"chunk %d\n" % i for i in range(20))
answer, text = ask("GET", "/events")
assert answer.getheader("Content-Type") == "text/event-stream"
assert text == b"".join(b"data: %d\n\n" % i for i in range(5))
print("ok")
