import { equalPublicBytes, PpmlError } from "../../../base/index.ts";
import { parseCertificate } from "../../x509/certificate.ts";
import type { Certificate } from "../../x509/certificate.ts";
import type { TrustAnchor } from "../../x509/chain.ts";
import { decodePemBody, splitPemChain } from "../../x509/pem.ts";
import { parsePart } from "./named-part.ts";
import type { ValidityInterval } from "./verification.ts";

/** A chain as Intel sends it, taken apart. Nothing here is verified. */
export type IntelChain = {
  /** Nearest to the root first, leaf last; without the root. */
  readonly below: readonly Certificate[];
  readonly leaf: Certificate;
};

/**
 * Takes apart a PEM chain: leaf, at most `authorities` authorities, root. The root is compared with
 * the trust anchor by name and key, not by its bytes: Intel issued its root twice with one key, and
 * chains in use have either. It may be left out; nothing else of it is read.
 * @throws attest.invalid, attest.not_verified where the chain ends in another root
 * @see Intel SGX PCK Certificate and CRL Profile Specification rev. 1.5, 1.2
 */
export function parseIntelChain(
  pem: Uint8Array,
  options: {
    readonly anchor: TrustAnchor;
    readonly authorities: 0 | 1;
    readonly what: string;
  },
): IntelChain {
  const { anchor, authorities, what } = options;
  const certificates = parsePart(what, () =>
    splitPemChain(pem).map(
      (body) => anchor.known.find(body) ?? parseCertificate(decodePemBody(body)),
    ),
  );
  const last = certificates.at(-1);
  if (last !== undefined && equalPublicBytes(last.subject, last.issuer)) {
    if (!equalPublicBytes(last.subject, anchor.name) || !equalPublicBytes(last.spki, anchor.spki))
      throw new PpmlError(
        "attest.not_verified",
        `${what} ends in a root "${last.commonName}" that is not the pinned one: its key or name differs`,
      );
    certificates.pop();
  }
  const [leaf] = certificates;
  if (leaf === undefined || certificates.length > authorities + 1)
    throw new PpmlError(
      "attest.not_verified",
      `expected 1 to ${authorities + 1} certificates below the root in ${what}, got ${certificates.length}`,
    );
  return { below: certificates.toReversed(), leaf };
}

/** The times in which certificates are valid. */
export function validityOf(certificates: readonly Certificate[]): ValidityInterval[] {
  return certificates.map(({ notBeforeMs, notAfterMs }) => ({
    fromMs: notBeforeMs,
    toMs: notAfterMs,
  }));
}
