import { constants, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { fromHex } from "../../base/index.ts";
import type { ChainAlgorithm } from "./chain.ts";

const PSS_SHA384_SALT_BYTES = 48;
// id-RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes, all stated.
const PSS_PARAMETERS =
  "06092a864886f70d01010a30LLa00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130";

/**
 * RSASSA-PSS with SHA-384 and a salt of 48 bytes by keys of `minimumBits` or more, as AMD's ARK, ASK
 * and ASVK sign. AMD's older certificates state the trailer field, which DER leaves out.
 * @see RFC 4055 section 3.1; AMD 57230 (VCEK), certificate format
 */
export function rsaPssSha384(minimumBits: number): ChainAlgorithm {
  return {
    name: `RSASSA-PSS with SHA-384 and RSA-${minimumBits}`,
    identifier: fromHex(`3041${PSS_PARAMETERS.replace("LL", "34")}`),
    otherIdentifiers: [fromHex(`3046${PSS_PARAMETERS.replace("LL", "39")}a303020101`)],
    verify: (tbs, key, signature) =>
      isRsa(key, minimumBits) &&
      verify(
        "sha384",
        tbs,
        {
          key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: PSS_SHA384_SALT_BYTES,
        },
        signature,
      ),
  };
}

/** RSASSA-PSS with SHA-384 by keys of 4096 bits, the size of all of AMD's authorities. */
export const RSA_4096_PSS_SHA384: ChainAlgorithm = rsaPssSha384(4096);

/** sha384WithRSAEncryption by keys of 2048 bits or more. @see RFC 4055 section 5 */
export const RSA_PKCS1_SHA384: ChainAlgorithm = {
  name: "sha384WithRSAEncryption",
  identifier: fromHex("300d06092a864886f70d01010c0500"),
  verify: (tbs, key, signature) => isRsa(key, 2048) && verify("sha384", tbs, key, signature),
};

/** Tells whether a key is an RSA key of `minimumBits` or more with the exponent 65537. */
export function isRsa(key: KeyObject, minimumBits: number): boolean {
  const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {};
  return (
    key.asymmetricKeyType === "rsa" && modulusLength >= minimumBits && publicExponent === 65537n
  );
}
