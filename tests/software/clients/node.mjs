// A client on Node's own HTTP: PORT HOST DIR FEATURES.

import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run } from "./round.mjs";

class Client {
  sendsTrailers = true;
  most = 1;
  sockets = new Set();

  constructor(port, host) {
    this.port = port;
    this.host = host;
    this.agent = new Agent({ keepAlive: true, maxSockets: 20 });
  }

  begin(method, path, headers = {}, host = this.host, agent = this.agent) {
    headers = { ...headers, Host: host };
    return request({ host: "127.0.0.1", port: this.port, method, path, headers, agent });
  }

  async answer(begun) {
    const response = await new Promise((resolve, reject) => {
      begun.on("response", resolve).on("error", reject);
    });
    this.sockets.add(response.socket.localPort);
    const body = Buffer.concat(await Readable.from(response).toArray());
    const { statusCode: status, headers, trailers } = response;
    return { status, headers, body, trailers };
  }

  async ask(method, path, { headers, host, body, pieces, trailers } = {}) {
    const extra = pieces ? { "Transfer-Encoding": "chunked" } : {};
    if (trailers) {
      extra.Trailer = Object.keys(trailers).join(", ");
    }
    const begun = this.begin(method, path, { ...headers, ...extra }, host);
    const answer = this.answer(begun);
    if (pieces) {
      pieces.forEach((piece) => begun.write(piece));
      begun.addTrailers(trailers ?? {});
    }
    begun.end(body);
    return answer;
  }

  async *stream(path) {
    const begun = this.begin("GET", path);
    begun.end();
    yield* await new Promise((resolve, reject) => begun.on("response", resolve).on("error", reject));
  }

  // The body waits for the 100, as a careful client's does.
  async expect(body) {
    const headers = { Expect: "100-continue", "Content-Length": body.length };
    const begun = this.begin("POST", "/echo", headers);
    const answer = this.answer(begun);
    begun.flushHeaders();
    await new Promise((resolve) => begun.on("continue", resolve));
    await pipeline(Readable.from([body]), begun);
    const seen = JSON.parse((await answer).body);
    assert.deepEqual([seen.length, seen.headers.expect], [body.length, undefined]);
  }

  async leave(path, begun) {
    const asked = this.begin("GET", path);
    const failed = new Promise((resolve) => asked.on("error", resolve));
    asked.end();
    await begun();
    asked.destroy();
    await failed;
  }

  connections() {
    return this.sockets.size;
  }

  async close() {
    this.agent.destroy();
  }
}

await run((port, host) => new Client(port, host));
