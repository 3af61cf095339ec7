// Writes test/vectors/protocol/*.json: whole exchanges of docs/protocol.md with every key that opens them,
// for clients in other languages. Keys, nonces and signatures are random, so files are written anew only
// where today's broker answers in another form, or with --force. A test holds that they are current.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { protocolVectors, skeletonOf } from "../test/broker/protocol-vectors.ts";

const FOLDER = join(import.meta.dirname, "..", "test", "vectors", "protocol");

mkdirSync(FOLDER, { recursive: true });
for (const [name, vector] of Object.entries(await protocolVectors())) {
  const path = join(FOLDER, `${name}.json`);
  if (isCurrent(path, vector)) continue;
  writeFileSync(path, `${JSON.stringify(vector, null, 2)}\n`);
  console.log(`wrote ${path}`);
}

function isCurrent(path: string, vector: unknown): boolean {
  if (process.argv.includes("--force")) return false;
  try {
    const stored: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isDeepStrictEqual(skeletonOf(stored), skeletonOf(vector));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
