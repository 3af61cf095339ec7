// Spends a nonce in a transaction, and dies before the log entry is written.
import { writeSync } from "node:fs";
import { BrokerDatabase } from "../../src/broker/database.ts";
import { loadRootKeyFile } from "../../src/key/root-key.ts";
import { spendNonce } from "../../src/broker/nonces.ts";

const [path = "", nonce = "", nowMs = "", rootKeyFile = ""] = process.argv.slice(2);
using root = await loadRootKeyFile({ path: rootKeyFile });
const db = BrokerDatabase.open(path, root);
db.transaction(() => {
  spendNonce(db, nonce, Number(nowMs));
  writeSync(1, "spent\n");
  process.kill(process.pid, "SIGKILL");
  // The signal may take a moment to arrive.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
