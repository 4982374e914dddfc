// A client on undici: PORT HOST DIR FEATURES.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { run } from "./round.mjs";

// The test says where it was installed.
const { Pool } = createRequire(`${process.env.NODE_FOLDER}/`)("undici");

class Client {
  connected = 0;
  // It closes behind each HEAD by itself, and may open one before another is free again.
  most = 5;
  // It reads values as UTF-8, so that it shows this for a byte that is none.
  odd = "caf\ufffd";

  constructor(port, host) {
    this.host = host;
    this.pool = new Pool(`http://127.0.0.1:${port}`, { connections: 20, pipelining: 1 });
    this.pool.on("connect", () => (this.connected += 1));
  }

  async ask(method, path, { headers = {}, host = this.host, body, pieces } = {}) {
    const sent = pieces ? (async function* all() { yield* pieces; })() : body;
    const options = { method, path, headers: { ...headers, Host: host }, body: sent };
    const answer = await this.pool.request(options);
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    const { statusCode: status, trailers } = answer;
    return { status, headers: answer.headers, body: bytes, trailers };
  }

  async *stream(path) {
    yield* (await this.pool.request({ method: "GET", path, headers: { Host: this.host } })).body;
  }

  async leave(path, begun) {
    const leaving = new AbortController();
    const { signal } = leaving;
    const asked = this.pool.request({ method: "GET", path, headers: { Host: this.host }, signal });
    const failed = assert.rejects(asked, { name: "AbortError" });
    await begun();
    leaving.abort();
    await failed;
  }

  connections() {
    return this.connected;
  }

  close() {
    return this.pool.close();
  }
}

await run((port, host) => new Client(port, host));
