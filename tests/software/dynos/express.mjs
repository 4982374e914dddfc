// A dyno on Express; README.md says what it answers.

import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { echo, events, listen, pattern, waitFor } from "./shared.mjs";

// The test says where it was installed.
const express = createRequire(`${process.env.NODE_FOLDER}/`)("express");
const app = express();
const query = (request) => request.url.split("?")[1];

app.get("/bytes/:size", (request, response) => {
  response.send(Buffer.concat([...pattern(Number(request.params.size))]));
});
app.get("/chunks/:size", (request, response) =>
  pipeline(Readable.from(pattern(Number(request.params.size))), response),
);
app.get("/events", (request, response) => {
  response.type("text/event-stream");
  return pipeline(Readable.from(events(query(request))), response);
});
app.get("/hold", async (request, response) => {
  writeFileSync(`${query(request)}/begun`, "");
  await waitFor(`${query(request)}/go`);
  response.send("held");
});
app.all("/status/:code", (request, response) => {
  response.set("ETag", '"tag"').status(Number(request.params.code)).end();
});
app.get("/redirect", (_, response) => response.redirect("/echo?redirected"));
app.get("/fields", (_, response) => {
  response.cookie("a", "1").cookie("b", "2");
  response.append("X-Multi", "one").append("X-Multi", "two").append("X-Odd", "caf\xe9");
  response.end();
});
app.get("/trailers", (_, response) => {
  response.set("Trailer", "X-Sum");
  response.write("body");
  response.addTrailers({ "X-Sum": "42" });
  response.end();
});
app.all("/echo", async (request, response) => response.json(await echo(request)));
// A client that left makes a pipeline fail; that is its own affair.
app.use((_error, _request, response, _next) => response.destroy());

listen(createServer(app));
