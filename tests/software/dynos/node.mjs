// A dyno on Node's own HTTP server, with WebSocket by hand; README.md says what it answers.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { echo, events, listen, pattern, waitFor } from "./shared.mjs";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CLOSE = 8;

async function answer(request, response) {
  const [path, query] = request.url.split("?");
  const [, kind, value] = path.split("/");
  switch (kind) {
    case "bytes":
      response.writeHead(200, { "Content-Length": value });
      return request.method === "HEAD"
        ? response.end()
        : pipeline(Readable.from(pattern(Number(value))), response);
    case "chunks":
      response.writeHead(200, { "Content-Type": "application/octet-stream" });
      return pipeline(Readable.from(pattern(Number(value))), response);
    case "events":
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      return pipeline(Readable.from(events(query)), response);
    case "hold":
      writeFileSync(`${query}/begun`, "");
      await waitFor(`${query}/go`);
      return response.writeHead(200, { "Content-Length": 4 }).end("held");
    case "status":
      return response.writeHead(Number(value), { ETag: '"tag"' }).end();
    case "redirect":
      return response.writeHead(302, { Location: "/echo?redirected" }).end();
    case "fields":
      response.setHeader("Set-Cookie", ["a=1; Path=/", "b=2; Path=/"]);
      response.setHeader("X-Multi", ["one", "two"]);
      response.setHeader("X-Odd", "caf\xe9");
      return response.end();
    case "trailers":
      response.writeHead(200, { Trailer: "X-Sum" });
      response.write("body");
      response.addTrailers({ "X-Sum": "42" });
      return response.end();
  }
  const text = JSON.stringify(await echo(request));
  const length = Buffer.byteLength(text);
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": length });
  return response.end(text);
}

const server = createServer((request, response) => {
  // A client that left makes a pipeline fail; that is its own affair.
  answer(request, response).catch(() => response.destroy());
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

listen(server);
