import { PpmlError } from "../../base/index.ts";
import { JsonReader } from "./json-reader.ts";
import type { Members } from "./members.ts";

const MAX_BYTES = 512 * 1024;

type Options = {
  /** Names the text in errors. */
  readonly what: string;
  readonly version: readonly number[];
  /** Reads the value that stands there and says so, if it is of a member that it reads itself. */
  readonly readOwn?: (json: JsonReader) => boolean;
};

/**
 * The members of a JSON text that Intel signed, at most 512 KiB, of one of the versions; without those
 * that `readOwn` reads.
 * @throws attest.invalid, attest.unsupported for other versions
 */
export function parseSignedJson(bytes: Uint8Array, options: Options): Members {
  const { what, readOwn } = options;
  if (bytes.byteLength > MAX_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected at most ${MAX_BYTES} bytes of ${what}, got ${bytes.byteLength}`,
    );
  const json = new JsonReader(bytes, what);
  const members = new Map<string, unknown>();
  json.enterObject();
  while (json.nextMember()) {
    if (readOwn?.(json) === true) continue;
    const name = json.name();
    members.set(name, json.value());
    // At once, since what follows has another form in other versions.
    if (name === "version") requireVersion(members.get(name), options);
  }
  json.end();
  requireVersion(members.get("version"), options);
  return Object.fromEntries(members);
}

function requireVersion(found: unknown, { what, version }: Options): void {
  if (typeof found !== "number" || !version.includes(found))
    throw new PpmlError(
      "attest.unsupported",
      `expected ${what} of version ${version.join(" or ")}, got ${typeof found === "number" ? found : "none"}: fetch it through version 4 of Intel's API`,
    );
}
