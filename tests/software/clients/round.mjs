// The round of both clients on Node; README.md says what it asks for.
//
// A client gives `ask`, `lines`, `leave`, `connections`, `close`, each in its own library's way.
// `ask` answers status, headers (lower-case name to value, or to a list of them), body, trailers.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const LARGE = 8 << 20;

export function pattern(size) {
  return Buffer.alloc(size, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
}

export async function appears(path) {
  for (let look = 0; !existsSync(path); look += 1) {
    assert.ok(look < 6000, `${path} does not come`);
    await setTimeout(5);
  }
}

function good(answer, status = 200) {
  assert.deepEqual([answer.status, answer.headers["hostler-error"]], [status, undefined]);
  return answer;
}

async function echo(client, method, path, more) {
  return JSON.parse(good(await client.ask(method, path, more)).body);
}

async function kept(client, host) {
  for (let turn = 0; turn < 5; turn += 1) {
    const seen = await echo(client, "GET", `/echo?turn=${turn}`);
    assert.deepEqual([seen.path, seen.headers.host], [`/echo?turn=${turn}`, host]);
    assert.equal(seen.headers["x-forwarded-proto"], "http");
  }
}

async function bodies(client) {
  for (const size of [0, 1, 1000, 65536, LARGE]) {
    const body = pattern(size);
    const sum = createHash("sha256").update(body).digest("hex");
    let seen = await echo(client, "POST", "/echo", { body });
    assert.deepEqual([seen.length, seen.sha256], [size, sum]);
    assert.ok(good(await client.ask("GET", `/bytes/${size}`)).body.equals(body));
    const pieces = [body.subarray(0, 7), body.subarray(7, 50_000), body.subarray(50_000)];
    seen = await echo(client, "PUT", "/echo", { pieces: pieces.filter((piece) => piece.length) });
    assert.deepEqual([seen.length, seen.sha256], [size, sum]);
    assert.ok(good(await client.ask("GET", `/chunks/${size}`)).body.equals(body));
  }
}

async function withoutBodies(client) {
  for (let turn = 0; turn < 2; turn += 1) {
    const head = good(await client.ask("HEAD", "/bytes/1000"));
    assert.deepEqual([head.headers["content-length"], head.body.length], ["1000", 0]);
    for (const status of [204, 304]) {
      const answer = good(await client.ask("GET", `/status/${status}`), status);
      assert.deepEqual([answer.headers.etag, answer.body.length], ['"tag"', 0]);
    }
    good(await client.ask("GET", "/status/404"), 404);
  }
}

async function fields(client) {
  const redirect = good(await client.ask("GET", "/redirect"), 302);
  assert.equal(redirect.headers.location, "/echo?redirected");
  const answer = good(await client.ask("GET", "/fields"));
  const cookies = answer.headers["set-cookie"].map((cookie) => cookie.split(";")[0]);
  assert.deepEqual(cookies, ["a=1", "b=2"]);
  assert.equal([answer.headers["x-multi"]].flat().join(", "), "one, two");
  assert.equal(answer.headers["x-odd"], client.odd ?? "caf\xe9");
  const headers = { Cookie: "a=1; b=2", "X-Odd": "caf\xe9", "X-Empty": "", "X-Two": ["1", "2"] };
  const seen = (await echo(client, "GET", "/echo", { headers })).headers;
  const got = [seen.cookie, seen["x-odd"], seen["x-empty"], seen["x-two"].replace(" ", "")];
  assert.deepEqual(got, ["a=1; b=2", "caf\xe9", "", "1,2"]);
}

async function errors(client) {
  for (const [Accept, kind] of [
    ["application/json", "application/problem+json"],
    ["text/html", "text/html; charset=utf-8"],
    ["text/plain", "text/plain; charset=utf-8"],
  ]) {
    const answer = await client.ask("GET", "/", { headers: { Accept }, host: "nobody.test" });
    assert.deepEqual([answer.status, answer.headers["hostler-error"]], [404, "unknown_host"]);
    assert.equal(answer.headers["content-type"], kind);
    if (kind.includes("json")) {
      assert.equal(JSON.parse(answer.body).status, 404);
    }
  }
}

async function events(client, folder) {
  const seen = [];
  let text = "";
  for await (const data of client.stream(`/events?${folder}`)) {
    text += data;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      // The dyno goes on only now: an event that is held back anywhere ends the round.
      writeFileSync(`${folder}/event-${seen.length}`, "");
      seen.push(text.slice(0, end));
      text = text.slice(end + 2);
    }
  }
  assert.deepEqual(seen, ["data: 0", "data: 1", "data: 2"]);
}

async function many(client, paths) {
  const answers = await Promise.all(paths.map((path) => echo(client, "GET", path)));
  assert.deepEqual(answers.map((answer) => answer.path), paths);
}

async function trailers(client) {
  const answer = good(await client.ask("GET", "/trailers"));
  assert.deepEqual([answer.body.toString(), answer.trailers], ["body", { "x-sum": "42" }]);
  if (client.sendsTrailers) {
    const seen = await echo(client, "POST", "/echo", { pieces: ["body"], trailers: { "X-Up": "7" } });
    assert.deepEqual([seen.length, seen.trailers], [4, { "x-up": "7" }]);
  }
}

export async function run(make) {
  const [port, host, folder, features] = process.argv.slice(2);
  const client = make(Number(port), host);
  await kept(client, host);
  await bodies(client);
  await withoutBodies(client);
  await fields(client);
  await errors(client);
  if (features.includes("trailers")) {
    await trailers(client);
  }
  if (client.expect) {
    await client.expect(pattern(3_000_000));
  }
  assert.ok(client.connections() <= client.most, `${client.connections()} connections`);
  await events(client, folder);
  await many(client, Array.from({ length: 200 }, (_, i) => `/echo?many=${i}`));
  await client.leave(`/hold?${folder}`, () => appears(`${folder}/begun`));
  await kept(client, host);
  for (let count = 0; !existsSync(`${folder}/stop`); count += 4) {
    await many(client, [0, 1, 2, 3].map((i) => `/echo?loop=${count + i}`));
    assert.ok(count < 1_000_000, "nobody stops the loop");
  }
  await client.close();
  console.log("ok");
}
