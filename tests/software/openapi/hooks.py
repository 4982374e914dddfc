"""What schemathesis cannot read out of the document: texts of formats that are the router's own,
and requests whose refusal is no matter of form.

A filter or a change here says which answer it keeps from being taken for a fault, and why that
answer is right.
"""

import itertools
import json
import re

import schemathesis
from hypothesis import strategies as st

label = st.from_regex(r"\A[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?\Z")
host = st.lists(label, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "test"]))
schemathesis.openapi.format("host-pattern", st.one_of(host, host.map(lambda name: "*." + name)))

schemathesis.openapi.format("host", host)
schemathesis.openapi.format("route", host.map(lambda name: name + "/api"))

name = st.from_regex(r"\A[a-z][a-z0-9]{0,9}\Z")
line = name.map('{{"v":1,"kind":"app","name":"{}"}}\n'.format)
schemathesis.openapi.format("table", st.lists(line, min_size=1, max_size=4, unique=True).map("".join))

port = st.integers(1, 65535)
# 198.18.0.0/15 and 2001:db8::/32 are nobody's (RFC 2544, RFC 3849).
v4 = st.builds("198.18.{}.{}:{}".format, st.integers(0, 255), st.integers(0, 255), port)
v6 = st.builds("[2001:db8::{:x}]:{}".format, st.integers(1, 65535), port)
schemathesis.openapi.format("dyno-addr", st.one_of(v4, v6))

schemathesis.openapi.format("network", st.builds("198.18.{}.0/24".format, st.integers(0, 255)))

plain = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
value = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
schemathesis.openapi.format("json", value.map(json.dumps))

numbers = itertools.count()


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes each write one of its own, of the revisions that there are, and waits for no router.

    A key that was another request's is 422, and so is a time to wait without a wait.
    What was is not waited for. A router that acked counts as live for a while, and
    none of those that schemathesis makes up serves what is written later.
    """
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,255}", key):
        case.headers["Idempotency-Key"] = f"{key[:240]}-{next(numbers)}"
    if isinstance(case.body, dict):
        revision = case.body.get("if_revision")
        if isinstance(revision, int) and not isinstance(revision, bool) and 0 < revision < 2**64:
            case.body["if_revision"] = 0
    query = case.query or {}
    timeout = query.get("timeout", "1s")
    if isinstance(timeout, str) and re.fullmatch("[1-9][0-9]*(ms|s|m)", timeout):
        if query.get("wait") in ("fleet", "empty"):
            case.query["timeout"] = "1ms"
        elif "wait" not in query:
            query.pop("timeout", None)
    if query.get("wait") == "empty":
        query.pop("at", None)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What is taken for a fault although no schema could have told that the request is wrong.

    Two settings that contradict each other, or one without another that it needs; a range whose
    first status is above its last; a text that is no certificate or no key in PEM; a revision that does not exist yet; an ack in the name
    of the router that answers, which a list of routers names.
    """
    reasons = (
        "it is more than ",
        "no header is named",
        "it has no name; give it one",
        "a release stands there twice",
        "no release has a share",
        "the first status is above the last",
        "there is no such revision",
        "there is no certificate in it",
        "there is no private key in it",
        "the table stands at revision ",
        "that is the router of this process",
    )
    if response.status_code != 422:
        return True
    return not any(error["reason"].startswith(reasons) for error in response.json().get("errors", []))
