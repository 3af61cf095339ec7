// The worker's entry: the only process that sees plaintext. It has no network, no KEK and no
// signing key; it reads ciphertext and DEKs from descriptor 3 and writes sealed bytes to it.
import { Socket } from "node:net";
import { openWorkerChannel } from "./worker-channel.ts";
import { runTask } from "./worker.ts";

const CHANNEL_FD = 3;

const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
// The launcher closed its end: nobody waits for a result.
socket.on("close", () => {
  process.exit(1);
});
const channel = openWorkerChannel(socket);
try {
  await channel.done(await runTask(await channel.task, channel));
} catch (error) {
  await channel.fail(error);
}
