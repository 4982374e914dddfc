"""A gRPC client: every kind of call, one that finds no dyno, or those that it is told line by line.
Called as PORT HOST WHAT, and CA where it is to speak TLS."""

import json
import queue
import sys
import time

import grpc

PORT, HOST, WHAT, *CA = sys.argv[1:]
LONG = 30

options = [("grpc.default_authority", HOST), ("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
if CA:
    with open(CA[0], "rb") as file:
        trusts = grpc.ssl_channel_credentials(file.read())
    options.append(("grpc.ssl_target_name_override", HOST))
    channel = grpc.secure_channel(f"127.0.0.1:{PORT}", trusts, options)
else:
    channel = grpc.insecure_channel(f"127.0.0.1:{PORT}", options)


def method(name):
    return f"/test.Calls/{name}"


def refused(call, code):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error
    raise AssertionError("it should fail")


unary = channel.unary_unary(method("Unary"))
given_up = channel.unary_unary(method("GivenUp"))
hold = channel.unary_unary(method("Hold"))


def unary_calls():
    answer, call = unary.with_call(b"hello", timeout=LONG)
    assert answer == b"hello"
    assert ("x-initial", "1") in call.initial_metadata()
    trailing = dict(call.trailing_metadata())
    assert (trailing["x-trailing"], trailing["x-raw-bin"]) == ("2", b"\x00\xff"), trailing
    large = bytes(3_000_000)
    assert unary(large, timeout=LONG) == large
    assert unary(b"", timeout=LONG) == b""
    waiting = [unary.future(str(number).encode(), timeout=LONG) for number in range(50)]
    assert [call.result() for call in waiting] == [str(n).encode() for n in range(50)]


def description():
    metadata = (("x-name", "value"), ("x-raw-bin", b"\x01\x02"))
    text = channel.unary_unary(method("Describe"))(b"", timeout=LONG, metadata=metadata)
    seen = json.loads(text)
    assert seen["metadata"]["x-name"] == "value", seen
    assert seen["metadata"]["x-raw-bin"] == str(b"\x01\x02"), seen
    # The router's own fields are there, too.
    assert seen["metadata"]["x-forwarded-for"] == "127.0.0.1", seen
    # The deadline has come through; it is rounded on the way.
    assert 0 < seen["left"] < LONG + 5, seen


def streams():
    parts = [bytes([number]) * 50_000 for number in range(40)]
    assert channel.stream_unary(method("Gather"))(iter(parts), timeout=LONG) == b"".join(parts)
    many = list(channel.unary_stream(method("Many"))(b"200 40000", timeout=LONG))
    assert [int.from_bytes(part[:4], "big") for part in many] == list(range(200))
    assert all(len(part) == 40_000 for part in many)
    assert list(channel.unary_stream(method("Many"))(b"0 4", timeout=LONG)) == []


def conversation():
    """Each message waits for the answer to the one before."""
    said = queue.SimpleQueue()
    call = channel.stream_stream(method("Each"))(iter(said.get, None), timeout=LONG)
    for number in range(20):
        said.put(b"%d" % number)
        assert next(call) == b"%d" % number
    said.put(None)
    assert list(call) == []
    assert call.code() == grpc.StatusCode.OK


def failures():
    fail = channel.unary_unary(method("Fail"))
    error = refused(lambda: fail(b"", timeout=LONG), grpc.StatusCode.NOT_FOUND)
    assert error.details() == "no such thing: \u00e9 100%", error.details()
    refused(
        lambda: channel.unary_unary(method("Unknown"))(b"", timeout=LONG),
        grpc.StatusCode.UNIMPLEMENTED,
    )
    call = channel.unary_stream(method("Break"))(b"", timeout=LONG)
    assert next(call) == b"one"
    error = refused(lambda: next(call), grpc.StatusCode.DATA_LOSS)
    assert error.details() == "in the middle"


def giving_up():
    # The dyno hears of a call that is cancelled, and of one whose time is over.
    said = queue.SimpleQueue()
    call = channel.stream_stream(method("Each"))(iter(said.get, None))
    said.put(b"x")
    assert next(call) == b"x"
    call.cancel()
    said.put(None)
    assert given_up(b"", timeout=LONG) == b"yes"
    refused(lambda: hold(b"", timeout=0.3), grpc.StatusCode.DEADLINE_EXCEEDED)
    assert given_up(b"", timeout=LONG) == b"yes"


def small_messages():
    # The dyno reads none before the client can say no more, or has said all.
    count = 30_000
    said = 0

    def messages():
        nonlocal said
        for said in range(1, count + 1):
            yield b"0123456789"

    call = channel.stream_unary(method("Late")).future(messages(), timeout=LONG)
    before = -1
    while before != said:
        before = said
        time.sleep(0.3)
    assert channel.unary_unary(method("Release"))(b"", timeout=LONG) == b""
    assert call.result() == b"%d" % (count * 10)
    echoed = channel.stream_stream(method("Echo"))(iter([b"hello"] * 20_000), timeout=LONG)
    assert sum(map(len, echoed)) == 100_000


def gone():
    error = refused(lambda: unary(b"", timeout=LONG), grpc.StatusCode.UNAVAILABLE)
    print(error.details(), file=sys.stderr)


def told():
    """A call by each name; how it ended, and why."""
    for name in sys.stdin:
        try:
            answers = channel.unary_stream(method(name.strip()))(b"", timeout=LONG)
            print("OK", list(answers), flush=True)
        except grpc.RpcError as error:
            print(error.code().name, error.details(), flush=True)


def calls():
    unary_calls()
    description()
    streams()
    conversation()
    failures()
    giving_up()


{"calls": calls, "small": small_messages, "gone": gone, "told": told}[WHAT]()
channel.close()
print("ok")
