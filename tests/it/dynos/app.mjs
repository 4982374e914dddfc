// A dyno on Node's own HTTP server: echoes, chunks, server-sent events, WebSocket by hand.

import { createHash } from "node:crypto";
import { createServer } from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CLOSE = 8;

function stream(response, kind, count, text) {
  response.writeHead(200, { "Content-Type": kind });
  for (let i = 0; i < count; i += 1) {
    response.write(text(i));
  }
  response.end();
}

const server = createServer((request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/chunks") {
    return stream(response, "text/plain", 20, (i) => `chunk ${i}\n`);
  }
  if (path === "/events") {
    return stream(response, "text/event-stream", 5, (i) => `data: ${i}\n\n`);
  }
  const hash = createHash("sha256");
  let length = 0;
  request.on("data", (data) => {
    length += data.length;
    hash.update(data);
  });
  request.on("end", () => {
    const { method, url, headers } = request;
    const answer = { method, path: url, length, sha256: hash.digest("hex"), headers };
    const text = JSON.stringify(answer);
    response.writeHead(200, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(text),
    });
    response.end(text);
  });
});

// Sends each frame back as it came, without its mask; short frames alone are spoken here.
server.on("upgrade", (request, socket, head) => {
  const key = request.headers["sec-websocket-key"] + GUID;
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let waiting = head;
  socket.on("data", (data) => {
    waiting = Buffer.concat([waiting, data]);
    while (waiting.length >= 2 && waiting.length >= 6 + (waiting[1] & 0x7f)) {
      const length = waiting[1] & 0x7f;
      const mask = waiting.subarray(2, 6);
      const text = waiting.subarray(6, 6 + length).map((byte, i) => byte ^ mask[i % 4]);
      const kind = waiting[0] & 0x0f;
      socket.write(Buffer.concat([Buffer.from([0x80 | kind, length]), text]));
      waiting = waiting.subarray(6 + length);
      if (kind === CLOSE) {
        socket.end();
      }
    }
  });
  socket.on("error", () => socket.destroy());
});

server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
