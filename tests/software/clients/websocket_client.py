"""A WebSocket of `websockets`: PORT HOST. Sends each line that it is given and says each message
that comes back; ends in order when there are no more lines, and says how it ended."""

import socket as sockets
import sys
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PORT, HOST = sys.argv[1:]


def hear(socket):
    try:
        for message in socket:
            print("heard", message, flush=True)
    except ConnectionClosed:
        pass


below = sockets.create_connection(("127.0.0.1", int(PORT)))
with connect(f"ws://{HOST}/chat", sock=below, proxy=None) as socket:
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
