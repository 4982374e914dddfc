"""The round of both Python clients; README.md says what it asks for.

A client gives `ask`, `lines`, `many`, `leave` and `connections`, each in its own library's way.
"""

import hashlib
import json
import pathlib

PATTERN = bytes(range(251)) * 64
LARGE = 8 << 20


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def all(self, name):
        return [value for field, value in self.headers if field.lower() == name]

    def first(self, name):
        return self.all(name)[0]


def pattern(size):
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def is_equal(left, right):
    assert left == right, (left, right)


def good(answer, status=200):
    is_equal((answer.status, answer.all("hostler-error")), (status, []))
    return answer


def echo(client, method, path, **more):
    return json.loads(good(client.ask(method, path, **more)).body)


def kept(client, host):
    for turn in range(5):
        seen = echo(client, "GET", f"/echo?turn={turn}")
        is_equal((seen["path"], seen["headers"]["host"]), (f"/echo?turn={turn}", host))
        is_equal(seen["headers"]["x-forwarded-proto"], "http")


def lengths(client):
    for size in [0, 1, 1000, 65536, LARGE]:
        body = pattern(size)
        seen = echo(client, "POST", "/echo", body=body)
        is_equal((seen["length"], seen["sha256"]), (size, hashlib.sha256(body).hexdigest()))
        is_equal(len(good(client.ask("GET", f"/bytes/{size}")).body), size)
        assert client.ask("GET", f"/bytes/{size}").body == body


def chunks(client):
    for size in [1, 70_000, LARGE]:
        body = pattern(size)
        pieces = (body[at : at + 9999] for at in range(0, size, 9999))
        seen = echo(client, "PUT", "/echo", body=pieces)
        is_equal((seen["length"], seen["sha256"]), (size, hashlib.sha256(body).hexdigest()))
        assert good(client.ask("GET", f"/chunks/{size}")).body == body


def without_bodies(client):
    for turn in range(2):
        head = good(client.ask("HEAD", "/bytes/1000"))
        is_equal((head.first("content-length"), head.body), ("1000", b""))
        for status in [204, 304]:
            answer = good(client.ask("GET", f"/status/{status}"), status)
            is_equal((answer.first("etag"), answer.body), ('"tag"', b""))
        good(client.ask("GET", "/status/404"), 404)


def redirects(client):
    answer = good(client.ask("GET", "/redirect"), 302)
    is_equal(answer.first("location"), "/echo?redirected")
    is_equal(echo(client, "GET", "/redirect", follow=True)["path"], "/echo?redirected")


def fields(client):
    answer = good(client.ask("GET", "/fields"))
    cookies = [cookie.split(";")[0] for cookie in answer.all("set-cookie")]
    is_equal(cookies, ["a=1", "b=2"])
    is_equal(", ".join(answer.all("x-multi")), "one, two")
    is_equal(answer.first("x-odd").encode("latin-1"), b"caf\xe9")
    sent = [("Cookie", "a=1; b=2"), ("X-Odd", b"caf\xe9"), ("X-Empty", "")]
    seen = echo(client, "GET", "/echo", headers=sent)["headers"]
    is_equal([seen["cookie"], seen["x-odd"], seen["x-empty"]], ["a=1; b=2", "caf\xe9", ""])


def errors(client):
    for accept, kind in [
        ("application/json", "application/problem+json"),
        ("text/html", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
    ]:
        answer = client.ask("GET", "/", headers=[("Host", "nobody.test"), ("Accept", accept)])
        is_equal((answer.status, answer.first("hostler-error")), (404, "unknown_host"))
        is_equal(answer.first("content-type"), kind)
        if "json" in kind:
            is_equal(json.loads(answer.body)["status"], 404)


def events(client, folder):
    seen = []
    for line in client.lines(f"/events?{folder}"):
        if line.startswith("data: "):
            # The dyno goes on only now: an event that is held back anywhere ends the round.
            (folder / f"event-{len(seen)}").touch()
            seen.append(line)
    is_equal(seen, ["data: 0", "data: 1", "data: 2"])


def pool(client):
    paths = [f"/echo?many={i}" for i in range(200)]
    for path, (status, body) in zip(paths, client.many(paths, 20), strict=True):
        is_equal((status, json.loads(body)["path"]), (200, path))


def restart(client, folder):
    count = 0
    while not (folder / "stop").exists():
        # Four at a time.
        for status, _ in client.many([f"/echo?loop={count + i}" for i in range(4)], 4):
            is_equal(status, 200)
        count += 4
        assert count < 1_000_000, "nobody stops the loop"


def run(make, arguments):
    port, host, folder, _features = arguments
    folder = pathlib.Path(folder)
    with make(f"http://127.0.0.1:{port}", host) as client:
        kept(client, host)
        lengths(client)
        chunks(client)
        without_bodies(client)
        redirects(client)
        fields(client)
        errors(client)
        is_equal(client.connections(), 1)
        events(client, folder)
        pool(client)
        client.leave(f"/hold?{folder}", folder / "begun")
        kept(client, host)
        restart(client, folder)
    print("ok")
