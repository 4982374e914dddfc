// What both dynos on Node have in common.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const PIECE = Buffer.alloc(251 * 64, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));

export async function waitFor(path) {
  const until = Date.now() + 30_000;
  while (!existsSync(path)) {
    if (Date.now() > until) {
      throw new Error(`${path} does not come`);
    }
    await setTimeout(5);
  }
}

export function* pattern(size) {
  for (; size > 0; size -= PIECE.length) {
    yield PIECE.subarray(0, Math.min(size, PIECE.length));
  }
}

export async function* events(folder) {
  for (let i = 0; i < 3; i += 1) {
    yield `data: ${i}\n\n`;
    await waitFor(`${folder}/event-${i}`);
  }
}

export async function echo(request) {
  const hash = createHash("sha256");
  let length = 0;
  for await (const data of request) {
    length += data.length;
    hash.update(data);
  }
  const { method, url: path, headers, trailers } = request;
  return { method, path, headers, trailers, length, sha256: hash.digest("hex") };
}

export function listen(server) {
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
}
