import { createHash } from "node:crypto";
import { concatBytes, equalBytes, PpmlError, sha256, unreachable, utf8 } from "../../base/index.ts";
import { parseJson } from "../../format/jcs.ts";
import type { RcarInitData } from "../../format/rcar.ts";
import type { Evidence } from "../evidence/evidence.ts";

const HASHES: Readonly<Record<string, string>> = {
  sha256: "sha256",
  "sha-256": "sha256",
  sha384: "sha384",
  "sha-384": "sha384",
  sha512: "sha512",
  "sha-512": "sha512",
};

/** The register that attesters on an Azure vTPM extend by the digest. @see CoCo Trustee, deps/verifier/src/az_snp_vtpm */
const INIT_DATA_PCR = 8;

/**
 * Checks that the Evidence binds a guest's init-data: its digest stands in HOST_DATA (SNP),
 * MRCONFIGID (TDX), CONFIGID (SGX), or extends PCR 8 of an Azure vTPM. Gives the digest.
 * @throws attest.invalid where it names no known hash; attest.not_verified where it is not bound
 * @see CoCo Trustee, kbs/docs/initdata.md, "Integrity Binding for Different TEEs"
 */
export function checkInitData(evidence: Evidence, initData: RcarInitData): Uint8Array {
  const algorithm = algorithmOf(initData);
  const digest = new Uint8Array(createHash(algorithm).update(utf8(initData.body)).digest());
  const bound = boundBy(evidence);
  const isBound =
    bound.kind === "field"
      ? equalBytes(bound.bytes, fitted(digest, bound.bytes.byteLength))
      : digest.byteLength === 32 &&
        equalBytes(bound.bytes, sha256(concatBytes(new Uint8Array(32), digest)));
  if (isBound) return digest;
  throw new PpmlError(
    "attest.not_verified",
    `the Evidence does not bind the init-data that came with it (${algorithm} in ${bound.name}): start the guest with this init-data, or send none`,
  );
}

type Bound = {
  readonly kind: "field" | "pcr";
  readonly name: string;
  readonly bytes: Uint8Array;
};

function boundBy(evidence: Evidence): Bound {
  switch (evidence.type) {
    case "snp":
    case "sim-snp":
      return { kind: "field", name: "HOST_DATA", bytes: evidence.report.hostData };
    case "tdx":
    case "sim-tdx":
      return { kind: "field", name: "MRCONFIGID", bytes: evidence.quote.body.mrConfigId };
    case "sgx":
    case "sim-sgx":
      return { kind: "field", name: "CONFIGID", bytes: evidence.quote.body.configId };
    case "az-snp-vtpm":
    case "az-tdx-vtpm":
      return {
        kind: "pcr",
        name: `PCR ${INIT_DATA_PCR}`,
        bytes: evidence.vtpm.pcrs.get(INIT_DATA_PCR) ?? new Uint8Array(),
      };
    case "maa":
      throw new PpmlError("attest.unsupported", "a token of MAA binds no init-data");
    default:
      return unreachable(evidence);
  }
}

/** "Integrity Binding": a longer digest is cut at its end, a shorter one filled up with zeros. */
function fitted(digest: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(digest.subarray(0, length));
  return bytes;
}

/** The name of the hash is a member of the init-data, whose whole text is hashed. */
function algorithmOf({ format, body }: RcarInitData): string {
  const name = format === "json" ? jsonAlgorithm(body) : tomlAlgorithm(body, format);
  const algorithm = Object.hasOwn(HASHES, name) ? HASHES[name] : undefined;
  if (algorithm !== undefined) return algorithm;
  throw new PpmlError(
    "attest.invalid",
    'expected init-data with "algorithm" sha256, sha384 or sha512',
  );
}

function jsonAlgorithm(body: string): string {
  const value = parseJson(utf8(body), "the init-data");
  return typeof value === "object" &&
    value !== null &&
    "algorithm" in value &&
    typeof value.algorithm === "string"
    ? value.algorithm
    : "";
}

/** A key of TOML's top level stands above the first table. What it says is then proved by the digest. */
function tomlAlgorithm(body: string, format: string): string {
  if (format !== "toml")
    throw new PpmlError("attest.unsupported", `expected init-data in toml or json, got ${format}`);
  const [top = ""] = body.split(/^\s*\[/m);
  return /^\s*algorithm\s*=\s*(?:"([^"\n]*)"|'([^'\n]*)')/m.exec(top)?.slice(1).join("") ?? "";
}
