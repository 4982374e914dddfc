"""httpx by HTTP/2 inside TLS, to the dyno of node.mjs: PORT HOST CA."""

import asyncio
import hashlib
import ssl
import sys

import httpx

PORT, HOST, CA = sys.argv[1:]
BODY = bytes(range(251)) * 10_000


async def calls():
    context = ssl.create_default_context(cafile=CA)
    base = f"https://127.0.0.1:{PORT}"
    more = {"headers": {"Host": HOST}, "extensions": {"sni_hostname": HOST}}
    async with httpx.AsyncClient(http2=True, verify=context, base_url=base, trust_env=False) as client:
        # The first alone, so that all others find its connection.
        first = await client.get("/bytes/1", **more)
        assert (first.status_code, first.http_version) == (200, "HTTP/2"), first
        asked = [client.post("/echo", content=BODY, **more) for _ in range(10)]
        asked += [client.get(f"/chunks/{len(BODY)}", **more) for _ in range(10)]
        answers = await asyncio.gather(*asked)
    assert all(answer.http_version == "HTTP/2" for answer in answers), answers
    for answer in answers[:10]:
        seen = answer.json()
        assert seen["sha256"] == hashlib.sha256(BODY).hexdigest(), seen
        assert seen["headers"]["x-forwarded-proto"] == "https", seen
    assert all(answer.content == BODY for answer in answers[10:])


asyncio.run(calls())
print("ok")
