"""A dyno that is as ill as it is told to be, by its argument or else by the path of a request.

sound      answers at once
slow:MS    answers after so many milliseconds
fails      answers 500
hangs      takes the request and never answers
resets     takes the request and resets the connection
cuts       sends half an answer and resets the connection
upgrades   answers 101 and sends back what comes
"""

import socket
import struct
import sys
import threading
import time

KINDS = ("sound", "slow", "fails", "hangs", "resets", "cuts", "upgrades")
ILL = sys.argv[1]


def head_of(stream):
    """The request line and the length of the body, or None at the end."""
    line = stream.readline().decode("latin-1")
    length = 0
    while field := stream.readline():
        if field == b"\r\n":
            return line, length
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return None


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(conn, status, body=b"ok"):
    conn.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


def serve(conn):
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The stream does not hold the connection open: a reset is sent by the close of the latter.
    with conn, conn.makefile("rb") as stream:
        while head := head_of(stream):
            line, length = head
            stream.read(length)
            asked = line.split(" ")[1].strip("/")
            kind, _, time_ms = (asked if asked.split(":")[0] in KINDS else ILL).partition(":")
            if kind == "slow":
                time.sleep(int(time_ms) / 1000)
            if kind == "hangs":
                stream.read()
                return
            if kind in ("resets", "cuts"):
                if kind == "cuts":
                    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")
                reset(conn)
                return
            if kind == "upgrades":
                conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                             b"Upgrade: echo\r\n\r\n")
                while some := conn.recv(4096):
                    conn.sendall(some)
                return
            answer(conn, b"500 Failed" if kind == "fails" else b"200 OK")


def serve_quietly(conn):
    try:
        serve(conn)
    except OSError:
        pass  # The router left.


with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=serve_quietly, args=(accepted,), daemon=True).start()
