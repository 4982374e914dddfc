// A browser's EventSource on the feed: URL TOKEN. Prints each event as a line of JSON, whatever it
// is, and each end of a connection; goes on by itself, as browsers do, until it is ended.

import { createRequire } from "node:module";

const { EventSource } = createRequire(`${process.env.NODE_FOLDER}/`)("eventsource");
const [url, token] = process.argv.slice(2);

// The library's way of saying who calls; all else is the standard's.
const withToken = (input, init) =>
  fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const source = new EventSource(url, { fetch: withToken });
for (const name of ["snapshot", "objects", "snapshot-end", "transaction", "heartbeat", "message"]) {
  source.addEventListener(name, ({ data, lastEventId: id }) => say({ name, data, id }));
}
source.addEventListener("error", ({ code }) => say({ name: "error", code, state: source.readyState }));
