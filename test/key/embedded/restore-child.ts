// A process that puts a vault back to two backups in turn until it is killed: see backup.test.ts.
// Arguments: vault, root-key file, the two backups.
import { readFileSync, writeSync } from "node:fs";
import { openEmbeddedVault } from "../../../src/key/index.ts";

const [path = "", rootPath = "", ...files] = process.argv.slice(2);
const vault = await openEmbeddedVault({ path, root: { kind: "file", path: rootPath } });
const backups = files.map((file) => new Uint8Array(readFileSync(file)));
writeSync(1, "ready\n");
for (;;) for (const bytes of backups) vault.restore(bytes);
