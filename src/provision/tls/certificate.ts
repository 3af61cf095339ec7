import { createPublicKey, randomBytes, sign, type KeyObject } from "node:crypto";
import { sha256 } from "../../base/index.ts";
import { DER } from "../../attest/der/read.ts";
import {
  der,
  derBitString,
  derInteger,
  derOid,
  derSequence,
  derTime,
} from "../../attest/der/write.ts";
import { extension } from "../../attest/x509/issue-certificate.ts";
import { encodeGeneralName } from "../../attest/x509/server-certificate.ts";

/** What a certificate and a request for one have in common. */
export type CertificateSubject = {
  /** DER of the subject's name. @see encodeSubject */
  readonly name: Uint8Array;
  /** RSA private key; its public half is certified. */
  readonly key: KeyObject;
  /** DNS names and IP addresses, 1 to 100, as `parseServerName` gives them. */
  readonly serverNames: readonly string[];
};

const VERSION_3 = der(0xa0, derInteger(Uint8Array.of(2)));
const SERIAL_BYTES = 16;
const KEY_ID_BYTES = 20;

/** sha256WithRSAEncryption; its parameters "MUST be NULL". @see RFC 4055 section 5 */
const SHA256_WITH_RSA = derSequence(derOid("1.2.840.113549.1.1.11"), der(DER.null));

/**
 * Makes a self-signed certificate of a server and client of TLS, in DER, signed with RSA and SHA-256.
 * Times in milliseconds since 1970, written as whole seconds.
 * @see RFC 5280 sections 4.1 and 4.2.1
 */
export function issueSelfSigned(
  options: CertificateSubject & { readonly notBeforeMs: number; readonly notAfterMs: number },
): Uint8Array {
  const { name, key, notBeforeMs, notAfterMs } = options;
  const tbs = derSequence(
    VERSION_3,
    derInteger(randomBytes(SERIAL_BYTES)),
    SHA256_WITH_RSA,
    name,
    derSequence(derTime(notBeforeMs), derTime(notAfterMs)),
    name,
    spkiOf(key),
    der(0xa3, derSequence(...extensionsOf(options))),
  );
  return signed(tbs, key);
}

/**
 * Makes a certification request in DER, for an authority to sign instead: the same name, key and
 * extensions as the self-signed certificate.
 * @see RFC 2986 section 4; RFC 2985 section 5.4.2 (extensionRequest)
 */
export function makeCertificationRequest(subject: CertificateSubject): Uint8Array {
  const extensionRequest = derSequence(
    derOid("1.2.840.113549.1.9.14"),
    der(DER.set, derSequence(...extensionsOf(subject))),
  );
  const info = derSequence(
    derInteger(Uint8Array.of(0)),
    subject.name,
    spkiOf(subject.key),
    der(0xa0, extensionRequest),
  );
  return signed(info, subject.key);
}

/**
 * The key's id in certificate and keystore: the first 160 bits of SHA-256 over its SubjectPublicKeyInfo.
 * @see RFC 5280 section 4.2.1.2 ("other methods of generating unique numbers are also acceptable")
 */
export function keyIdOf(key: KeyObject): Uint8Array {
  return sha256(spkiOf(key)).subarray(0, KEY_ID_BYTES);
}

function extensionsOf({ key, serverNames }: CertificateSubject): Uint8Array[] {
  return [
    // An empty sequence: cA is false, which is the default.
    extension("2.5.29.19", { critical: true, value: derSequence() }),
    // digitalSignature, bit 0. No keyEncipherment: RSA key transport has no forward secrecy.
    extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x80), 7) }),
    // id-kp-serverAuth and id-kp-clientAuth: Spark's two ends show this one certificate.
    extension("2.5.29.37", {
      critical: false,
      value: derSequence(derOid("1.3.6.1.5.5.7.3.1"), derOid("1.3.6.1.5.5.7.3.2")),
    }),
    extension("2.5.29.14", { critical: false, value: der(DER.octetString, keyIdOf(key)) }),
    extension("2.5.29.17", {
      critical: false,
      value: derSequence(...serverNames.map(encodeGeneralName)),
    }),
  ];
}

function spkiOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: "der", type: "spki" });
}

function signed(body: Uint8Array, key: KeyObject): Uint8Array {
  return derSequence(body, SHA256_WITH_RSA, derBitString(sign("sha256", body, key)));
}
