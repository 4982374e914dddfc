// A WebSocket of `ws`: PORT HOST. What it does is in speak.mjs.

import { createRequire } from "node:module";
import { speak } from "./speak.mjs";

const WebSocket = createRequire(`${process.env.NODE_FOLDER}/`)("ws");
const [port, host] = process.argv.slice(2);
speak(new WebSocket(`ws://127.0.0.1:${port}/chat`, { headers: { Host: host } }));
