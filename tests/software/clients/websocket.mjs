// A WebSocket of `ws`: PORT HOST, and CA where it is to be inside TLS. What it does is in speak.mjs.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { speak } from "./speak.mjs";

const WebSocket = createRequire(`${process.env.NODE_FOLDER}/`)("ws");
const [port, host, ca] = process.argv.slice(2);
const secure = ca ? { ca: readFileSync(ca), servername: host } : {};
const url = `${ca ? "wss" : "ws"}://127.0.0.1:${port}/chat`;
speak(new WebSocket(url, { headers: { Host: host }, ...secure }));
