// A client on Node's own HTTP/2, in clear text: PORT HOST DIR FEATURES. All that it asks for are
// streams of one connection.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run } from "./round.mjs";

// Without the pseudo-headers, and what Node hides among them.
const plain = (fields) =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith(":")));

class Client {
  sendsTrailers = true;
  most = 1;
  connected = 0;

  constructor(port, host) {
    this.host = host;
    this.session = connect(`http://127.0.0.1:${port}`);
    this.session.on("connect", () => (this.connected += 1));
  }

  begin(method, path, { headers, host = this.host, ...options } = {}) {
    const pseudo = { ":method": method, ":path": path, ":authority": host };
    return this.session.request({ ...pseudo, ...headers }, options);
  }

  async answer(stream) {
    let trailers = {};
    stream.on("trailers", (fields) => (trailers = plain(fields)));
    const [headers] = await once(stream, "response");
    const body = Buffer.concat(await Readable.from(stream).toArray());
    return { status: headers[":status"], headers: plain(headers), body, trailers };
  }

  async ask(method, path, { headers, host, body, pieces, trailers } = {}) {
    const endStream = body === undefined && pieces === undefined;
    const options = { headers, host, endStream, waitForTrailers: trailers !== undefined };
    const stream = this.begin(method, path, options);
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    const answer = this.answer(stream);
    if (!endStream) {
      (pieces ?? []).forEach((piece) => stream.write(piece));
      stream.end(body);
    }
    return answer;
  }

  async *stream(path) {
    yield* this.begin("GET", path, { endStream: true });
  }

  // The body waits for the 100, as a careful client's does.
  async expect(body) {
    const headers = { expect: "100-continue", "content-length": body.length };
    const stream = this.begin("POST", "/echo", { headers, endStream: false });
    const answer = this.answer(stream);
    await once(stream, "continue");
    await pipeline(Readable.from([body]), stream);
    const seen = JSON.parse((await answer).body);
    assert.deepEqual([seen.length, seen.headers.expect], [body.length, undefined]);
  }

  async leave(path, begun) {
    const stream = this.begin("GET", path, { endStream: true });
    await begun();
    stream.close(constants.NGHTTP2_CANCEL);
    await once(stream, "close");
  }

  connections() {
    return this.connected;
  }

  async close() {
    this.session.close();
    await once(this.session, "close");
  }
}

await run((port, host) => new Client(port, host));
