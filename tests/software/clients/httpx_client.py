"""A client on httpx, the pool and the leaving on its asynchronous half: PORT HOST DIR FEATURES. With
HTTP2 in its environment it speaks that, in clear text."""

import asyncio
import os
import sys

import httpx

import round

HTTP2 = "HTTP2" in os.environ
# Nothing of the machine that this runs on: no proxy.
OPTIONS = {"trust_env": False, "http1": not HTTP2, "http2": HTTP2}


class Client:
    def __init__(self, base, host):
        self.base, self.host = base, host
        self.client = httpx.Client(base_url=base, timeout=30, **OPTIONS)
        self.sockets = set()
        self.runner = asyncio.Runner()
        self.pool = self.connect(20)

    def connect(self, most):
        limits = httpx.Limits(max_connections=most)
        return httpx.AsyncClient(base_url=self.base, timeout=60, limits=limits, **OPTIONS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.runner.run(self.pool.aclose())
        self.runner.close()

    def ask(self, method, path, headers=(), body=None, follow=False):
        # What is given again replaces what the client gives by itself.
        fields = {"Host": self.host, **dict(headers)}
        self.client.cookies.clear()
        answer = self.client.request(
            method, path, headers=fields, content=body, follow_redirects=follow
        )
        socket = answer.extensions["network_stream"].get_extra_info("client_addr")
        self.sockets.add(socket)
        fields = [(name.decode(), value.decode("latin-1")) for name, value in answer.headers.raw]
        return round.Answer(answer.status_code, fields, answer.content)

    def lines(self, path):
        with self.client.stream("GET", path, headers={"Host": self.host}) as answer:
            yield from answer.iter_lines()

    def many(self, paths, _at_once):
        async def all_of_them():
            asked = (self.pool.get(path, headers={"Host": self.host}) for path in paths)
            return [(a.status_code, a.content) for a in await asyncio.gather(*asked)]

        return self.runner.run(all_of_them())

    def leave(self, path, begun):
        async def ask():
            # It does not reset a stream of HTTP/2, so that its connection has to end.
            async with self.connect(1) as leaving:
                asking = asyncio.create_task(leaving.get(path, headers={"Host": self.host}))
                while not begun.exists():
                    await asyncio.sleep(0.005)
                asking.cancel()
                await asyncio.wait([asking])
                assert asking.cancelled()

        self.runner.run(ask())

    def connections(self):
        return len(self.sockets)


round.run(Client, sys.argv[1:])
