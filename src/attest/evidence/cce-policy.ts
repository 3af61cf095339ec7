import { fromBase64, PpmlError, sha256 } from "../../base/index.ts";

const MAX_CHARACTERS = 4 * 1024 * 1024;

/**
 * HOST_DATA (32 bytes) of a confidential container group: SHA-256 of the decoded enforcement policy,
 * which is given in base64 as in `confidentialComputeProperties.ccePolicy`, at most 4 MiB.
 * @throws attest.invalid
 * @see learn.microsoft.com/azure/container-instances/container-instances-confidential-overview
 */
export function hostDataOfCcePolicy(ccePolicy: string): Uint8Array {
  try {
    return sha256(fromBase64(ccePolicy.length > MAX_CHARACTERS ? "-" : ccePolicy));
  } catch (cause) {
    throw new PpmlError(
      "attest.invalid",
      "expected the container group's enforcement policy in base64, at most 4 MiB",
      { cause },
    );
  }
}
