"""httpx as a browser with a cookie jar: thirty requests of one, on three connections, and thirty of
another that sees the cookie before it is asked for. Usage: httpx_affinity.py PORT"""

import sys

import httpx

URL = f"http://127.0.0.1:{sys.argv[1]}/"
HOST = {"Host": "a.test"}

jar = httpx.Cookies()
seen = set()
for _ in range(3):
    with httpx.Client(cookies=jar, headers=HOST) as client:
        for _ in range(10):
            seen.add(client.get(URL).headers["x-dyno"])
        jar = client.cookies
assert len(seen) == 1, seen
assert len(jar) == 1, jar

with httpx.Client(cookies=jar, headers=HOST) as client:
    answers = [client.get(URL) for _ in range(30)]
assert {answer.headers["x-dyno"] for answer in answers} == seen
assert not any("set-cookie" in answer.headers for answer in answers)
print("ok")
