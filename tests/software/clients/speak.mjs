// What a WebSocket of `ws` does: it sends each line that the program is given and says each message
// that comes back; it ends in order when there are no more lines, and says how it ended.

import { createInterface } from "node:readline";

const say = (what) => process.stdout.write(`${what}\n`);

export function speak(socket) {
  const opened = () => {
    say("open");
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (line) => socket.send(line));
    lines.on("close", () => socket.close(1000));
  };
  socket.on("message", (data) => say(`heard ${data}`));
  socket.on("error", (error) => say(`error ${error.message}`));
  socket.on("close", (code) => {
    say(`closed ${code}`);
    process.stdin.destroy();
  });
  if (socket.readyState === socket.OPEN) opened();
  else socket.on("open", opened);
}
