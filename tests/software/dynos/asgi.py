"""A dyno under ASGI, for uvicorn; README.md says what it answers."""

import asyncio
import hashlib
import json
import pathlib

PIECE = bytes(range(251)) * 64


async def wait_for(path):
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.005)


async def answer(send, status, fields, body=b""):
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def pattern(send, size, fields):
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    while size > 0:
        await send({"type": "http.response.body", "body": PIECE[:size], "more_body": True})
        size -= len(PIECE)
    await send({"type": "http.response.body", "body": b""})


async def events(send, folder):
    fields = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for i in range(3):
        event = b"data: %d\n\n" % i
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await wait_for(folder / f"event-{i}")
    await send({"type": "http.response.body", "body": b""})


async def echo(scope, receive):
    digest, length, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        data, more = message.get("body", b""), message.get("more_body", False)
        digest.update(data)
        length += len(data)
    headers = {}
    for name, value in scope["headers"]:
        name, value = name.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query = scope["query_string"].decode()
    return {
        "method": scope["method"],
        "path": scope["path"] + (f"?{query}" if query else ""),
        "headers": headers,
        "length": length,
        "sha256": digest.hexdigest(),
    }


async def app(scope, receive, send):
    folder = pathlib.Path(scope["query_string"].decode())
    to_head = scope["method"] == "HEAD"
    match scope["path"].split("/")[1:]:
        case ["bytes", size]:
            size = 0 if to_head else int(size)
            stated = scope["path"].split("/")[2].encode()
            await pattern(send, size, [(b"content-length", stated)])
        case ["chunks", size]:
            await pattern(send, int(size), [(b"content-type", b"application/octet-stream")])
        case ["events"]:
            await events(send, folder)
        case ["hold"]:
            (folder / "begun").touch()
            await wait_for(folder / "go")
            await answer(send, 200, [(b"content-length", b"4")], b"held")
        case ["status", code]:
            await answer(send, int(code), [(b"etag", b'"tag"')])
        case ["redirect"]:
            fields = [(b"location", b"/echo?redirected"), (b"content-length", b"0")]
            await answer(send, 302, fields)
        case ["fields"]:
            fields = [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2; Path=/")]
            fields += [(b"x-multi", b"one"), (b"x-multi", b"two"), (b"x-odd", b"caf\xe9")]
            await answer(send, 200, [*fields, (b"content-length", b"0")])
        case _:
            text = json.dumps(await echo(scope, receive)).encode()
            length = (b"content-length", str(len(text)).encode())
            fields = [(b"content-type", b"application/json"), length]
            await answer(send, 200, fields, b"" if to_head else text)
