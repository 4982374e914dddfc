"""A client on requests: PORT HOST DIR FEATURES."""

import concurrent.futures
import sys
import threading
import time

import requests

import round


class Client:
    def __init__(self, base, host):
        self.base, self.host = base, host
        self.session = requests.Session()
        # Nothing of the machine that this runs on: no proxy, no .netrc.
        self.session.trust_env = False
        self.adapter = requests.adapters.HTTPAdapter(pool_maxsize=20, max_retries=0)
        self.session.mount(base, self.adapter)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def ask(self, method, path, headers=(), body=None, follow=False):
        headers = {"Host": self.host, **dict(headers)}
        # A cookie of an earlier answer would be sent with the next request.
        self.session.cookies.clear()
        answer = self.session.request(
            method,
            self.base + path,
            headers=headers,
            data=body,
            allow_redirects=follow,
            timeout=30,
        )
        return round.Answer(answer.status_code, answer.raw.headers.items(), answer.content)

    def lines(self, path):
        headers = {"Host": self.host}
        with self.session.get(self.base + path, headers=headers, stream=True, timeout=30) as answer:
            yield from answer.iter_lines(chunk_size=None, decode_unicode=True)

    def many(self, paths, at_once):
        def one(path):
            answer = self.session.get(self.base + path, headers={"Host": self.host}, timeout=60)
            return answer.status_code, answer.content

        with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(one, paths))

    def leave(self, path, begun):
        # The library cannot give up a request from elsewhere, but its own time-out can.
        left = threading.Event()

        def ask():
            try:
                requests.get(self.base + path, headers={"Host": self.host}, timeout=1)
            except requests.Timeout:
                left.set()

        thread = threading.Thread(target=ask)
        thread.start()
        while not begun.exists() and thread.is_alive():
            time.sleep(0.005)
        thread.join()
        assert begun.exists() and left.is_set()

    def connections(self):
        pools = self.adapter.poolmanager.pools
        return sum(pools[key].num_connections for key in pools.keys())


round.run(Client, sys.argv[1:])
