// A client on Node's own http: HOST PORT NAME. Prints ok, or fails.

import assert from "node:assert";
import { createHash } from "node:crypto";
import { Agent, request } from "node:http";

const [host, port, name] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
let turns = 0;

function ask(method, path, body = [], headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { host, port, method, path, agent, headers: { Host: name, ...headers } };
    const asked = request(options, (answer) => {
      const data = [];
      answer.on("data", (piece) => data.push(piece));
      answer.on("error", reject);
      answer.on("end", () => {
        assert.equal(answer.statusCode, 200);
        assert.equal(asked.reusedSocket, turns > 0, "the connection was not kept");
        turns += 1;
        resolve({ headers: answer.headers, text: Buffer.concat(data).toString() });
      });
    });
    asked.on("error", reject);
    body.forEach((piece) => asked.write(piece));
    asked.end();
  });
}

const echo = async (...asked) => JSON.parse((await ask(...asked)).text);
const lines = (count, line) => Array.from({ length: count }, (_, i) => line(i)).join("");

const body = Buffer.alloc(1_000_000, "0123456789abcdef!");
const sha256 = createHash("sha256").update(body).digest("hex");
for (let turn = 0; turn < 5; turn += 1) {
  const seen = await echo("GET", `/turn?${turn}`);
  assert.equal(seen.path, `/turn?${turn}`);
  assert.equal(seen.headers.host, name);
}
let seen = await echo("POST", "/length", [body], { "Content-Length": body.length });
assert.deepEqual([seen.length, seen.sha256], [body.length, sha256]);
const pieces = [body.subarray(0, 7), body.subarray(7, 500_000), body.subarray(500_000)];
seen = await echo("PUT", "/chunked", pieces, { "Transfer-Encoding": "chunked" });
assert.deepEqual([seen.length, seen.sha256], [body.length, sha256]);
const head = await ask("HEAD", "/head");
assert.deepEqual([head.text, head.headers["content-type"]], ["", "application/json"]);
assert.equal((await ask("GET", "/chunks")).text, lines(20, (i) => `chunk ${i}\n`));
const events = await ask("GET", "/events");
assert.equal(events.headers["content-type"], "text/event-stream");
assert.equal(events.text, lines(5, (i) => `data: ${i}\n\n`));
agent.destroy();
console.log("ok");
