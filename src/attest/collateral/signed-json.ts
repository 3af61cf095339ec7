import { PpmlError } from "../../base/index.ts";
import { JsonReader } from "./json-reader.ts";

const MAX_BYTES = 512 * 1024;

type Options = {
  /** Names the text in errors. */
  readonly what: string;
  readonly version: readonly number[];
  /** Reads, or skips, the value of the member at which the reader stands. */
  readonly read: (json: JsonReader) => void;
};

/**
 * Reads the members of a JSON text that Intel signed, at most 512 KiB, of one of the versions, which it
 * gives.
 * @throws attest.invalid, attest.unsupported for other versions
 */
export function readSignedJson(bytes: Uint8Array, options: Options): number {
  const { what, read } = options;
  if (bytes.byteLength > MAX_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected at most ${MAX_BYTES} bytes of ${what}, got ${bytes.byteLength}`,
    );
  const json = new JsonReader(bytes, what);
  let version: unknown;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("version")) {
      version = json.valueInDigits();
      // At once, since what follows has another form in other versions.
      requireVersion(version, options);
    } else read(json);
  }
  json.end();
  return requireVersion(version, options);
}

function requireVersion(found: unknown, { what, version }: Options): number {
  if (typeof found === "number" && version.includes(found)) return found;
  throw new PpmlError(
    "attest.unsupported",
    `expected ${what} of version ${version.join(" or ")}, got ${typeof found === "number" ? found : "none"}: fetch it through version 4 of Intel's API`,
  );
}
