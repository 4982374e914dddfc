"""A WebSocket of `websockets`: PORT HOST, and CA where it is to be inside TLS. Sends each line that it is given and says each message
that comes back; ends in order when there are no more lines, and says how it ended."""

import socket as sockets
import ssl
import sys
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PORT, HOST, *CA = sys.argv[1:]


def hear(socket):
    try:
        for message in socket:
            print("heard", message, flush=True)
    except ConnectionClosed:
        pass


below = sockets.create_connection(("127.0.0.1", int(PORT)))
secure = {"ssl": ssl.create_default_context(cafile=CA[0])} if CA else {}
scheme = "wss" if CA else "ws"
with connect(f"{scheme}://{HOST}/chat", sock=below, proxy=None, **secure) as socket:
    print("open", flush=True)
    hearing = threading.Thread(target=hear, args=(socket,), daemon=True)
    hearing.start()

    def speak():
        for line in sys.stdin:
            socket.send(line.rstrip("\n"))
        socket.close()

    threading.Thread(target=speak, daemon=True).start()
    hearing.join()
print("closed", socket.close_code, flush=True)
