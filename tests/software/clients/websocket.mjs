// A WebSocket of `ws`: PORT HOST. Sends each line that it is given and says each message that comes
// back; ends in order when there are no more lines, and says how it ended.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const WebSocket = createRequire(`${process.env.NODE_FOLDER}/`)("ws");
const [port, host] = process.argv.slice(2);

const say = (what) => process.stdout.write(`${what}\n`);
const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`, { headers: { Host: host } });
socket.on("open", () => {
  say("open");
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => socket.send(line));
  lines.on("close", () => socket.close(1000));
});
socket.on("message", (data) => say(`heard ${data}`));
socket.on("error", (error) => say(`error ${error.message}`));
socket.on("close", (code) => {
  say(`closed ${code}`);
  process.exit();
});
