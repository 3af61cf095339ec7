import { fromUtf8, PpmlError } from "../../base/index.ts";
import { readMembers } from "./members.ts";
import type { Members } from "./members.ts";

const MAX_BYTES = 512 * 1024;

/**
 * The members of a JSON text that Intel signed, at most 512 KiB, of one of the versions.
 * @throws attest.invalid, attest.unsupported for other versions
 */
export function parseSignedJson(
  json: Uint8Array,
  options: { readonly what: string; readonly version: readonly number[] },
): Members {
  const { what, version } = options;
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
  const members = readMembers(value, what);
  const found = members["version"];
  if (typeof found !== "number" || !version.includes(found))
    throw new PpmlError(
      "attest.unsupported",
      `expected ${what} of version ${version.join(" or ")}, got ${typeof found === "number" ? found : "none"}: fetch it through version 4 of Intel's API`,
    );
  return members;
}
