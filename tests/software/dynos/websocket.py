"""A dyno that speaks WebSocket and nothing else: it sends back what it gets."""

import base64
import hashlib
import socketserver
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE = 8


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        headers = {}
        while line := self.rfile.readline().strip():
            name, value = line.split(b":", 1)
            headers[name.lower()] = value.strip()
        key = headers[b"sec-websocket-key"] + GUID
        accept = base64.b64encode(hashlib.sha1(key).digest())
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        while True:
            kind, text = self.frame()
            self.wfile.write(struct.pack("!BB", 0x80 | kind, len(text)) + text)
            if kind == CLOSE:
                return

    def frame(self):
        first, length = self.rfile.read(2)
        length &= 0x7F
        assert length < 126, "only short frames are spoken here"
        mask = self.rfile.read(4)
        text = self.rfile.read(length)
        return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Echo) as server:
    print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
    server.serve_forever()
