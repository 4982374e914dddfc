"""A gRPC dyno without a schema: messages are bytes. README.md says what it answers. With files KEY
and CERT in its environment it speaks TLS."""

import json
import os
import threading
from concurrent import futures

import grpc

ended = threading.Semaphore(0)


def watch(context):
    """Notes a call that its client gave up."""

    def look():
        if context.code() is None:
            ended.release()

    context.add_callback(look)


def unary(request, context):
    context.send_initial_metadata((("x-initial", "1"),))
    context.set_trailing_metadata((("x-trailing", "2"), ("x-raw-bin", b"\x00\xff")))
    return request


def describe(_, context):
    metadata = {key: str(value) for key, value in context.invocation_metadata()}
    return json.dumps({"metadata": metadata, "left": context.time_remaining()}).encode()


def fail(_, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: \u00e9 100%")


def break_off(_, context):
    yield b"one"
    context.abort(grpc.StatusCode.DATA_LOSS, "in the middle")


def gather(requests, _):
    return b"".join(requests)


def many(request, _):
    count, size = map(int, request.split())
    for number in range(count):
        yield number.to_bytes(4, "big") * (size // 4)


def each(requests, context):
    watch(context)
    yield from requests


gone = threading.Event()


def hold(_, context):
    watch(context)
    context.add_callback(gone.set)
    gone.wait()
    gone.clear()
    return b"too late"


go_on = threading.Event()


def late(requests, _):
    go_on.wait()
    return b"%d" % sum(map(len, requests))


def release(request, _):
    go_on.set()
    return request


def echo(requests, _):
    yield from requests


def given_up(_, __):
    ended.acquire()
    return b"yes"


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Describe": grpc.unary_unary_rpc_method_handler(describe),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Break": grpc.unary_stream_rpc_method_handler(break_off),
    "Gather": grpc.stream_unary_rpc_method_handler(gather),
    "Many": grpc.unary_stream_rpc_method_handler(many),
    "Each": grpc.stream_stream_rpc_method_handler(each),
    "Hold": grpc.unary_unary_rpc_method_handler(hold),
    "Late": grpc.stream_unary_rpc_method_handler(late),
    "Release": grpc.unary_unary_rpc_method_handler(release),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
    "GivenUp": grpc.unary_unary_rpc_method_handler(given_up),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=20))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Calls", handlers),))
if "KEY" in os.environ:
    key, cert = (open(os.environ[name], "rb").read() for name in ("KEY", "CERT"))
    proof = grpc.ssl_server_credentials([(key, cert)])
    port = server.add_secure_port("127.0.0.1:0", proof)
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on http://127.0.0.1:{port}", flush=True)
server.wait_for_termination()
