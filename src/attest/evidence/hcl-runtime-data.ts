import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { fromHex, PpmlError } from "../../base/index.ts";
import { parseUniqueJson } from "../token/unique-json.ts";

const keySchema = z.strictObject({
  kid: z.string().max(100),
  key_ops: z.array(z.string().max(40)).max(10),
  kty: z.literal("RSA"),
  e: z.literal("AQAB"),
  n: z.string().regex(/^[A-Za-z0-9_-]{342,683}$/, "expected RSA of 2048 to 4096 bits"),
});

/**
 * Loose: paravisors add members with their versions (`hardware-sealing-policy`, `vmgs-provisioner`),
 * which are not read. Which paravisor it was is MEASUREMENT, which every policy names.
 * @see github.com/microsoft/openvmm, openhcl_attestation_protocol, AttestationVmConfig
 */
const vmConfigurationSchema = z.looseObject({
  "current-time": z.number().optional(),
  "root-cert-thumbprint": z.string().max(200).optional(),
  "console-enabled": z.boolean(),
  "interactive-console-enabled": z.boolean().optional(),
  "secure-boot": z.boolean(),
  "tpm-enabled": z.boolean(),
  "tpm-persisted": z.boolean().optional(),
  "filtered-vpci-devices-allowed": z.boolean().optional(),
  vmUniqueId: z.string().max(100),
});

/** Loose for the same reason: the hardware's report binds all of it, and what is not read decides nothing. */
const runtimeDataSchema = z.looseObject({
  keys: z.array(keySchema).min(1).max(16),
  "vm-configuration": vmConfigurationSchema,
  "user-data": z
    .string()
    .regex(/^(?:[0-9A-Fa-f]{128})?$/, "expected 64 bytes in hex, or nothing")
    .optional(),
});

/** What Azure's paravisor says of the VM that it started. */
export type HclVmConfiguration = z.infer<typeof vmConfigurationSchema>;

/** The runtime data of an HCL report. Nothing here is verified. */
export type HclRuntimeData = {
  /** HCLAkPub: the vTPM's attestation key, RSA. */
  readonly attestationKey: KeyObject;
  /** HCLEkPub: the vTPM's endorsement key; null where older reports have none. */
  readonly endorsementKey: KeyObject | null;
  readonly vmConfiguration: HclVmConfiguration;
  /** 64 bytes that the guest wrote to NV index 0x01400002; null where reports have none. */
  readonly userData: Uint8Array | null;
};

/**
 * Parses the runtime data of an HCL report. Members that are not known are not read; those of a key are
 * refused.
 * @throws attest.invalid
 * @see learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design, "Runtime claims"
 */
export function parseHclRuntimeData(bytes: Uint8Array): HclRuntimeData {
  const data = parse(bytes);
  const keyOf = (kid: string): KeyObject | null => {
    const [key, ...more] = data.keys.filter((candidate) => candidate.kid === kid);
    if (more.length > 0) throw invalid(`has more than one key ${kid}`);
    return key === undefined ? null : makeKey(key.n);
  };
  const attestationKey = keyOf("HCLAkPub");
  if (attestationKey === null) throw invalid("has no key HCLAkPub");
  const userData = data["user-data"];
  return {
    attestationKey,
    endorsementKey: keyOf("HCLEkPub"),
    vmConfiguration: data["vm-configuration"],
    userData: userData === undefined || userData === "" ? null : fromHex(userData),
  };
}

/** No member twice: whoever reads the first of two and whoever reads the last would believe other keys. */
function parse(bytes: Uint8Array): z.infer<typeof runtimeDataSchema> {
  const what = "the HCL report's runtime data";
  const found = runtimeDataSchema.safeParse(parseUniqueJson(bytes, what));
  if (found.success) return found.data;
  throw new PpmlError(
    "attest.invalid",
    `expected the JSON of ${what}: ${z.prettifyError(found.error)}`,
    { cause: found.error },
  );
}

function makeKey(n: string): KeyObject {
  try {
    return createPublicKey({ key: { kty: "RSA", e: "AQAB", n }, format: "jwk" });
  } catch (cause) {
    throw new PpmlError("attest.invalid", "the HCL report's runtime data has a key that is none", {
      cause,
    });
  }
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `the HCL report's runtime data ${what}`);
}
