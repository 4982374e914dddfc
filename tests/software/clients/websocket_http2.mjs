// A WebSocket of `ws` on a stream of Node's HTTP/2 (RFC 8441): PORT HOST, and CA where it is to be
// inside TLS. What it does is in speak.mjs.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { createRequire } from "node:module";
import { speak } from "./speak.mjs";

const WebSocket = createRequire(`${process.env.NODE_FOLDER}/`)("ws");
const [port, host, ca] = process.argv.slice(2);
const scheme = ca ? "https" : "http";
const secure = ca ? { ca: readFileSync(ca), servername: host } : {};

const session = connect(`${scheme}://127.0.0.1:${port}`, secure);
// What the drain cuts is said of the socket.
session.on("error", () => {});
const [settings] = await once(session, "remoteSettings");
assert.ok(settings.enableConnectProtocol);
const stream = session.request(
  {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": scheme,
    ":authority": host,
    ":path": "/chat",
    "sec-websocket-version": "13",
  },
  { endStream: false },
);
const [headers] = await once(stream, "response");
assert.equal(headers[":status"], 200);

// The library makes its own handshake by HTTP/1.1; behind that of HTTP/2 it is given the stream.
const socket = new WebSocket(null, undefined, { closeTimeout: 30_000 });
socket._isServer = false;
const options = { allowSynchronousEvents: true, maxPayload: 64 << 20, skipUTF8Validation: false };
socket.setSocket(stream, Buffer.alloc(0), options);
speak(socket);
socket.on("close", () => session.close());
