import { equalBytes, PpmlError, sha256, toBase64 } from "../../base/index.ts";
import { encodeJcs } from "../../format/jcs.ts";
import type { JsonObject, MaaTee } from "../evidence/maa-evidence.ts";
import { parseUniqueJson } from "../token/unique-json.ts";

/**
 * The relying party's own runtime data, and how it went to MAA. `json` and `binary`: the bytes whose
 * SHA-256 is the report data, sent with that data type; `json` comes back as `x-ms-runtime`,
 * `binary` of an enclave as `x-ms-sgx-ehd`. `client-payload`: for an Azure VM's guest token, whose
 * report data belongs to the paravisor: the bytes that the guest gave as the payload's nonce.
 * `not-compared` leaves it to an appraisal, which always compares it.
 */
export type MaaRuntimeData =
  | { readonly kind: "json"; readonly bytes: Uint8Array }
  | { readonly kind: "binary"; readonly bytes: Uint8Array }
  | { readonly kind: "client-payload"; readonly nonce: Uint8Array }
  | { readonly kind: "not-compared" };

/**
 * Checks that a token is about the TEE that holds this runtime data: by the report data, which the
 * hardware signed, and by the claim in which MAA gives the runtime data back.
 * @throws attest.not_verified
 * @see azure-rest-api-specs, attestation 2025-06-01, RuntimeData: "the SHA256 hash of the
 * RuntimeData" is in the first 32 bytes of the report data
 */
export function checkMaaBinding(options: {
  readonly tee: MaaTee;
  /** The claim x-ms-runtime; null where the token has none. */
  readonly runtime: JsonObject | null;
  readonly runtimeData: MaaRuntimeData;
}): void {
  const { tee, runtime, runtimeData } = options;
  if (runtimeData.kind === "not-compared") return;
  if (runtimeData.kind === "client-payload") {
    checkClientPayload(tee, runtime, runtimeData.nonce);
    return;
  }
  if (tee.attestationType === "azurevm")
    throw unbound("the token is a VM's guest token, which binds a client payload only");
  const { reportData } = tee;
  const digest = sha256(runtimeData.bytes);
  if (!equalBytes(reportData.subarray(0, 32), digest) || reportData.subarray(32).some(Boolean))
    throw unbound("the token's report data is not the SHA-256 of this runtime data");
  if (runtimeData.kind === "json") checkJson(runtime, runtimeData.bytes);
  else if (tee.attestationType === "sgx") checkHeldData(tee.enclaveHeldData, runtimeData.bytes);
}

function checkJson(runtime: JsonObject | null, bytes: Uint8Array): void {
  const own = encodeJcs(parseUniqueJson(bytes, "the runtime data"));
  if (runtime === null || !equalBytes(encodeJcs(runtime), own))
    throw unbound("the token's claim x-ms-runtime is not this runtime data");
}

function checkHeldData(heldData: Uint8Array | null, bytes: Uint8Array): void {
  if (heldData === null || !equalBytes(heldData, bytes))
    throw unbound("the token's claim x-ms-sgx-ehd is not this runtime data");
}

function checkClientPayload(tee: MaaTee, runtime: JsonObject | null, nonce: Uint8Array): void {
  if (tee.attestationType !== "azurevm")
    throw unbound("the token binds no client payload: it is not a VM's guest token");
  const payload = runtime?.["client-payload"];
  const found =
    typeof payload === "object" && payload !== null && "nonce" in payload ? payload.nonce : null;
  if (nonce.byteLength < 16 || found !== toBase64(nonce))
    throw unbound("the token's client payload does not hold this nonce of 16 bytes or more");
}

function unbound(what: string): PpmlError {
  return new PpmlError(
    "attest.not_verified",
    `${what}: it was made for another challenge or key; ask for a new token`,
  );
}
