import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** Verifies a signature, its key in PEM or imported before. */
type Signed = {
  readonly data: Uint8Array;
  readonly signature: Uint8Array;
  readonly key: KeyObject | string;
};

/**
 * What a fresh verification cannot do without, and nothing else: with node:crypto, the seven signatures
 * that differ from platform to platform or day to day (both CRLs, TCB info, QE identity, PCK
 * certificate, QE report, quote), over bytes of their usual lengths, and the import of the two keys that
 * are the platform's own.
 */
export function signaturesAlone(): () => void {
  const known = [200, 5000, 1000, 2600, 1000].map((length) => make(length, false));
  const own = [384, 632].map((length) => make(length, true));
  const all = [...known, ...own];
  return () => {
    for (const { data, key, signature } of all) {
      const imported = typeof key === "string" ? createPublicKey(key) : key;
      if (!verify("sha256", data, imported, signature)) throw new Error("it is not signed");
    }
  };
}

function make(length: number, asText: boolean): Signed {
  const data = new Uint8Array(length).fill(7);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    data,
    signature: sign("sha256", data, privateKey),
    key: asText ? String(publicKey.export({ format: "pem", type: "spki" })) : publicKey,
  };
}
