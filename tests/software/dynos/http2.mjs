// A dyno that speaks HTTP/2: in clear text, or by TLS with KEY and CERT, and then HTTP/1.1 too, to
// whoever asks for it.

import { readFileSync } from "node:fs";
import { createSecureServer, createServer } from "node:http2";

// Large answers wait in memory, of which a session has little by default (in MB).
const options = { settings: { enableConnectProtocol: true }, maxSessionMemory: 1000 };
const { KEY, CERT } = process.env;
const server = KEY
  ? createSecureServer({ ...options, allowHTTP1: true, key: readFileSync(KEY), cert: readFileSync(CERT) })
  : createServer(options);

// HTTP/1.1: who asked, and how.
const answer = (request, response) => {
  if (request.httpVersionMajor !== 1) return;
  const { servername } = request.socket;
  const resumed = request.socket.isSessionReused();
  response.end(JSON.stringify({ headers: request.headers, servername, resumed }));
};
// A server in clear text that has this answers streams by itself, too.
if (KEY) server.on("request", answer);

let sessions = 0;
let streams = 0;
let most = 0;
server.on("session", (session) => {
  sessions += 1;
  session.on("error", () => {});
});

server.on("stream", (stream, headers) => {
  streams += 1;
  most = Math.max(most, streams);
  stream.on("close", () => (streams -= 1));
  stream.on("aborted", () => console.log(`aborted ${headers[":path"]} ${stream.rstCode}`));
  stream.on("error", () => {});
  const [, kind] = headers[":path"].split(/[/?]/);
  if (headers[":method"] === "CONNECT") {
    stream.respond({ ":status": 200, "x-protocol": headers[":protocol"] });
    return stream.pipe(stream);
  }
  answers[kind](stream, headers);
});

const answers = {
  // What came, as JSON.
  echo(stream, headers) {
    const parts = [];
    let trailers = {};
    stream.on("data", (part) => parts.push(part));
    stream.on("trailers", (fields) => (trailers = { ...fields }));
    stream.on("end", () => {
      const body = Buffer.concat(parts);
      const shown = { headers: { ...headers }, trailers, length: body.length };
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end(JSON.stringify(shown));
    });
  },
  // How many connections there were, and how many streams at once.
  counts(stream) {
    stream.respond({ ":status": 200 });
    stream.end(`${sessions} ${most}`);
  },
  // What comes goes back as it comes.
  stream(stream) {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  },
  trailers(stream) {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
    stream.end("body");
  },
  // An answer that is a head alone.
  bare(stream) {
    stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
  },
  hints(stream) {
    stream.additionalHeaders({ ":status": 103, link: "</a.css>" });
    stream.respond({ ":status": 204 }, { endStream: true });
  },
  // As many bytes as the query says.
  bytes(stream, headers) {
    const length = Number(headers[":path"].split("?")[1]);
    stream.respond({ ":status": 200, "content-length": length });
    stream.end(headers[":method"] === "HEAD" ? undefined : Buffer.alloc(length, "x"));
  },
  // Begins an answer that never ends.
  hold(stream) {
    stream.respond({ ":status": 200 });
    stream.write("begun");
  },
  // Says nothing.
  mute() {},
};

server.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
