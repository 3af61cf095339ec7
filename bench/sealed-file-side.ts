/**
 * One side of bench/sealed-file.ts, in a process of its own: seals or opens a file of a folder
 * through the local store, and prints its peak memory in MiB.
 * Usage: node bench/sealed-file-side.ts seal|open FOLDER
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Secret } from "../src/base/index.ts";
import type { WrappedLocalKey } from "../src/format/kek.ts";
import { openSealedFile } from "../src/open/open-file.ts";
import { sealFileTo } from "../src/seal/seal-file.ts";
import type { SealedFile } from "../src/seal/seal-file.ts";
import { freeChunk, openLocalSource, openLocalStore } from "../src/store/index.ts";

const DATASET_ID = "5a".repeat(16);
const WRAPPED: WrappedLocalKey = {
  id: Buffer.alloc(16, 1).toString("base64url"),
  kekId: "bench",
  kekVersion: "0".repeat(32),
  wrapped: Buffer.alloc(384, 2).toString("base64url"),
};

const [side, folder = "."] = process.argv.slice(2);
const store = openLocalStore(folder);
const notes = join(folder, "sealed.json");
using key = Secret.take(new Uint8Array(32).fill(7));
if (side === "seal") {
  await using plaintext = await openLocalSource(join(folder, "input"), {
    name: "input",
    followLink: false,
  });
  const sealed = await sealFileTo(
    { store, name: "sealed" },
    { plaintext, datasetId: DATASET_ID, localKey: { key, wrapped: WRAPPED } },
  );
  writeFileSync(notes, JSON.stringify(sealed));
} else {
  const sealed = JSON.parse(readFileSync(notes, "utf8")) as SealedFile;
  await using source = await store.source("sealed");
  const opened = await openSealedFile({
    source,
    localKeyFor: () => key,
    expected: { ...sealed, datasetId: DATASET_ID },
  });
  await store.put("opened", opened.stream(), { recycle: freeChunk });
}
console.log(process.resourceUsage().maxRSS / 1024);
