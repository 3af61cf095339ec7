import type { KeyObject } from "node:crypto";
import { DER } from "../der/read.ts";
import { algorithmOf, encodeName, extension, signed } from "../x509/issue-certificate.ts";
import { der, derInteger, derSequence, derTime } from "../der/write.ts";

/**
 * Makes a CRL of version 2 by an issuer of one common name, signed as its certificates are; serials
 * are big-endian, times milliseconds since 1970.
 * @see RFC 5280 section 5.1
 */
export function issueCrl(request: {
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly serials: readonly Uint8Array[];
}): Uint8Array {
  const { issuer, issuerKey, thisUpdateMs, nextUpdateMs, serials } = request;
  const entries = serials.map((serial) => derSequence(derInteger(serial), derTime(thisUpdateMs)));
  const keyIdentifier = derSequence(der(0x80, new Uint8Array(20)));
  const number = derInteger(Uint8Array.of(1));
  const tbs = derSequence(
    derInteger(Uint8Array.of(1)),
    algorithmOf(issuerKey),
    encodeName(issuer),
    derTime(thisUpdateMs),
    derTime(nextUpdateMs),
    // RFC 5280 5.1.2.6: the list "MUST be absent" where nothing is revoked.
    entries.length === 0 ? new Uint8Array() : der(DER.sequence, ...entries),
    der(
      0xa0,
      derSequence(
        extension("2.5.29.35", { critical: false, value: keyIdentifier }),
        extension("2.5.29.20", { critical: false, value: number }),
      ),
    ),
  );
  return signed(tbs, issuerKey);
}
