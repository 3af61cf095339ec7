import { z } from "zod";
import { fromUtf8, PpmlError } from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";

const MAX_BYTES = 512 * 1024;
const versionSchema = z.object({ version: z.unknown() });

/**
 * Parses a JSON text that Intel signed, at most 512 KiB, first looking at its version. Objects of the
 * schema are not strict: what Intel adds is not read.
 * @throws attest.invalid, attest.unsupported for other versions
 */
export function parseSignedJson<T>(
  json: Uint8Array,
  options: {
    readonly schema: z.ZodType<T>;
    readonly what: string;
    readonly version: readonly number[];
  },
): T {
  const { schema, what, version } = options;
  if (json.byteLength > MAX_BYTES)
    throw new PpmlError(
      "attest.invalid",
      `expected at most ${MAX_BYTES} bytes of ${what}, got ${json.byteLength}`,
    );
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(json));
  } catch (cause) {
    throw new PpmlError("attest.invalid", `${what} is not valid JSON`, { cause });
  }
  const found = parseWith(versionSchema, value, { what, code: "attest.invalid" }).version;
  if (typeof found !== "number" || !version.includes(found))
    throw new PpmlError(
      "attest.unsupported",
      `expected ${what} of version ${version.join(" or ")}, got ${typeof found === "number" ? found : "none"}: fetch it through version 4 of Intel's API`,
    );
  return parseWith(schema, value, { what, code: "attest.invalid" });
}
