import type { KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { toBase64, utf8 } from "../../base/index.ts";
import { extension, issueCertificate } from "./issue-certificate.ts";
import { der, derBitString, derOid, derSequence } from "../der/write.ts";

/** GeneralName's tags. @see RFC 5280 section 4.2.1.6 */
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

/**
 * Makes a self-signed certificate of a server, in DER: for signatures and as a TLS server only, with
 * its DNS names and IP addresses. Times in milliseconds since 1970.
 * @see RFC 5280 sections 4.1 and 4.2.1
 */
export function issueServerCertificate(options: {
  readonly commonName: string;
  readonly names: readonly string[];
  readonly key: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}): Uint8Array {
  const { commonName, names, key, notBeforeMs, notAfterMs } = options;
  return issueCertificate({
    subject: commonName,
    subjectKey: key,
    issuer: commonName,
    issuerKey: key,
    notBeforeMs,
    notAfterMs,
    extensions: [
      // digitalSignature: bit 0.
      extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x80), 7) }),
      // id-kp-serverAuth.
      extension("2.5.29.37", { critical: false, value: derSequence(derOid("1.3.6.1.5.5.7.3.1")) }),
      extension("2.5.29.17", {
        critical: false,
        value: derSequence(...names.map(encodeGeneralName)),
      }),
    ],
  });
}

/** A certificate in PEM. @see RFC 7468 section 5 */
export function certificatePem(certificate: Uint8Array): string {
  const lines = toBase64(certificate).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** A GeneralName of a DNS name or an IP address. @see RFC 5280 section 4.2.1.6 */
export function encodeGeneralName(name: string): Uint8Array {
  const version = isIP(name);
  if (version === 0) return der(DNS_NAME, utf8(name));
  return der(IP_ADDRESS, version === 4 ? ipv4(name) : ipv6(name));
}

function ipv4(address: string): Uint8Array {
  return Uint8Array.from(address.split(".").map(Number));
}

function ipv6(address: string): Uint8Array {
  // The URL parser writes every form of an address in its shortest one.
  const text = new URL(`http://[${address.split("%")[0] ?? ""}]`).hostname.slice(1, -1);
  const [head = "", tail] = text.split("::");
  const first = groups(head);
  const last = groups(tail ?? "");
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Uint8Array.from(all.flatMap((group) => [group >>> 8, group & 0xff]));
}

function groups(part: string): number[] {
  return part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
}
