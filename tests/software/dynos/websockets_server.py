"""A dyno on `websockets`: it sends back what it gets, and closes as it is told to."""

from websockets.sync.server import serve


def echo(socket):
    for message in socket:
        if message.startswith("close "):
            socket.close(int(message.removeprefix("close ")), "as it was told")
        else:
            socket.send(message)


with serve(echo, "127.0.0.1", 0) as server:
    print("http://127.0.0.1:%d" % server.socket.getsockname()[1], flush=True)
    server.serve_forever()
