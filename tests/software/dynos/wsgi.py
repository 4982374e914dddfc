"""A dyno under WSGI, for gunicorn; README.md says what it answers."""

import hashlib
import json
import pathlib
import time

PATTERN = bytes(range(251))
PIECE = PATTERN * 64


def wait_for(path):
    until = time.monotonic() + 30
    while not path.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{path} does not come")
        time.sleep(0.005)


def pattern(size):
    while size > 0:
        yield PIECE[:size]
        size -= len(PIECE)


def events(folder):
    for i in range(3):
        yield f"data: {i}\n\n".encode()
        wait_for(folder / f"event-{i}")


def echo(environ):
    digest, length = hashlib.sha256(), 0
    while data := environ["wsgi.input"].read(65536):
        digest.update(data)
        length += len(data)
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    query = environ["QUERY_STRING"]
    return {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"] + (f"?{query}" if query else ""),
        "headers": headers,
        "length": length,
        "sha256": digest.hexdigest(),
    }


def app(environ, start_response):
    folder = pathlib.Path(environ["QUERY_STRING"])
    to_head = environ["REQUEST_METHOD"] == "HEAD"
    match environ["PATH_INFO"].split("/")[1:]:
        case ["bytes", size]:
            start_response("200 OK", [("Content-Length", size)])
            return [] if to_head else pattern(int(size))
        case ["chunks", size]:
            start_response("200 OK", [("Content-Type", "application/octet-stream")])
            return pattern(int(size))
        case ["events"]:
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            return events(folder)
        case ["hold"]:
            (folder / "begun").touch()
            wait_for(folder / "go")
            start_response("200 OK", [("Content-Length", "4")])
            return [b"held"]
        case ["status", code]:
            start_response(f"{code} As Asked", [("ETag", '"tag"')])
            return []
        case ["redirect"]:
            start_response("302 Found", [("Location", "/echo?redirected"), ("Content-Length", "0")])
            return []
        case ["fields"]:
            fields = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/")]
            fields += [("X-Multi", "one"), ("X-Multi", "two"), ("X-Odd", "caf\xe9")]
            start_response("200 OK", [*fields, ("Content-Length", "0")])
            return []
    text = json.dumps(echo(environ)).encode()
    kind = ("Content-Type", "application/json")
    start_response("200 OK", [kind, ("Content-Length", str(len(text)))])
    return [] if to_head else [text]
