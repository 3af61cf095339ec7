import { z } from "zod";
import { PpmlError } from "../../base/index.ts";
import { parsePemCertificates } from "../x509/pem.ts";

const MAX_JSON_CHARACTERS = 256 * 1024;

const schema = z.strictObject({
  vcekCert: z.string().max(64 * 1024),
  tcbm: z.string().regex(/^[0-9A-Fa-f]{16}$/, "expected 8 bytes in hex"),
  certificateChain: z.string().max(128 * 1024),
  cacheControl: z.union([z.string().max(20), z.number()]).optional(),
});

/** What Azure's host gives for its chip: certificates in DER, leaf to root. Nothing here is verified. */
export type AmdHostCertificates = {
  readonly vcek: Uint8Array;
  readonly ask: Uint8Array;
  readonly ark: Uint8Array;
  /** The TCB_VERSION that the VCEK was derived for. @see parseSnpTcb */
  readonly tcbm: bigint;
};

/**
 * Parses the JSON of Azure's Trusted Hardware Identity Management (THIM), as a host gives it to a
 * confidential container group or at http://169.254.169.254/metadata/THIM/amd/certification.
 * @throws attest.invalid
 * @see learn.microsoft.com/azure/security/fundamentals/trusted-hardware-identity-management
 */
export function parseAmdHostCertificates(text: string): AmdHostCertificates {
  const value = parse(text);
  const [vcek, ...moreLeaves] = parsePemCertificates(value.vcekCert);
  const [ask, ark, ...moreChain] = parsePemCertificates(value.certificateChain);
  if (
    vcek === undefined ||
    ask === undefined ||
    ark === undefined ||
    moreLeaves.length + moreChain.length > 0
  )
    throw new PpmlError(
      "attest.invalid",
      "expected one certificate in vcekCert, and the ASK and the ARK in certificateChain",
    );
  return { vcek, ask, ark, tcbm: BigInt(`0x${value.tcbm}`) };
}

function parse(text: string): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(text.length > MAX_JSON_CHARACTERS ? "" : text));
  } catch (cause) {
    throw new PpmlError(
      "attest.invalid",
      `expected the JSON of a host's AMD certificates: ${cause instanceof z.ZodError ? z.prettifyError(cause) : "it does not parse"}`,
      { cause },
    );
  }
}
