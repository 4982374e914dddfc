"""A gRPC dyno that says how it is (grpc.health.v1), without a schema. README.md says what it answers."""

from concurrent import futures

import grpc

STATUS = {b"": b"\x08\x01", b"\x0a\x04well": b"\x08\x01", b"\x0a\x03ill": b"\x08\x02"}


def check(request, context):
    if request not in STATUS:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return STATUS[request]


handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=20))
server.add_generic_rpc_handlers(
    (grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),)
)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on http://127.0.0.1:{port}", flush=True)
server.wait_for_termination()
