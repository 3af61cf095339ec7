import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";
import { z } from "zod";
import { fromBase64, PpmlError, utf8 } from "../../base/index.ts";
import { SIMULATION_MARK } from "../../attest/evidence/simulation-mark.ts";
import { DER } from "../../attest/der/read.ts";
import { der, derBitString, derOid, derSequence } from "../../attest/der/write.ts";
import {
  authorityExtensions,
  extension,
  issueCertificate,
} from "../../attest/x509/issue-certificate.ts";
import { certificatePem } from "../../attest/x509/server-certificate.ts";
import { DOMAINS } from "./domains.ts";

const HOUR_MS = 3_600_000;
const AUTHORITY_MS = 5 * 365 * 24 * HOUR_MS;
const LEAF_MS = 90 * 24 * HOUR_MS;
const NAME = `${SIMULATION_MARK} Azure`;
const MAX_HOSTS = 1000;

const storedSchema = z.strictObject({ certificate: z.string(), privateKeyPem: z.string() });

/** The front's own certificate authority. No system trusts it: programs are told of `caPath`. */
export type FrontAuthority = {
  /** The CA's certificate in PEM. */
  readonly caPath: string;
  /** The CA's certificate behind the roots that Node brings, for programs that take one file. */
  readonly bundlePath: string;
  /** The TLS context of a host, made at its first use. */
  readonly contextOf: (host: string) => SecureContext;
};

/**
 * Opens the authority of a folder, or makes it there: ca.json (mode 0600, with the private key) and
 * ca.pem. Its certificate may sign for Azure's host names alone (name constraints), so that a person
 * who trusts it by mistake gives away no other site.
 * @throws twin.state where its file is not valid
 */
export function openFrontAuthority(options: {
  readonly folder: string;
  readonly nowMs: number;
  /** Certificates in PEM that go before the CA's in the bundle. */
  readonly roots: readonly string[];
}): FrontAuthority {
  const { folder, nowMs } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, "ca.json");
  if (!existsSync(file)) writeWhole(file, JSON.stringify(createAuthority(nowMs)));
  const { certificate, key } = load(file);
  const caPath = join(folder, "ca.pem");
  const bundlePath = join(folder, "bundle.pem");
  writeWhole(caPath, certificate);
  writeWhole(bundlePath, [...options.roots, certificate].join("\n"));
  const leafKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const leafKeyPem = leafKey.export({ type: "pkcs8", format: "pem" });
  const contexts = new Map<string, SecureContext>();
  return {
    caPath,
    bundlePath,
    contextOf: (host) => {
      const known = contexts.get(host);
      if (known !== undefined) return known;
      if (contexts.size >= MAX_HOSTS) contexts.clear();
      const cert = certificatePem(issueLeaf({ host, leafKey, key, nowMs }));
      const context = createSecureContext({ key: leafKeyPem, cert, minVersion: "TLSv1.2" });
      contexts.set(host, context);
      return context;
    },
  };
}

function load(file: string): { readonly certificate: string; readonly key: KeyObject } {
  try {
    const stored = storedSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    return { certificate: stored.certificate, key: createPrivateKey(stored.privateKeyPem) };
  } catch (cause) {
    throw new PpmlError(
      "twin.state",
      `${file} is not the double's certificate authority: remove it, and a new one is made`,
      { cause },
    );
  }
}

function createAuthority(nowMs: number): z.infer<typeof storedSchema> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const notBeforeMs = nowMs - HOUR_MS;
  const certificate = issueCertificate({
    subject: NAME,
    subjectKey: privateKey,
    issuer: NAME,
    issuerKey: privateKey,
    notBeforeMs,
    notAfterMs: notBeforeMs + AUTHORITY_MS,
    extensions: [
      ...authorityExtensions(0),
      // RFC 5280 4.2.1.2: every certificate of a CA has it; Python 3.13 refuses one that does not.
      extension("2.5.29.14", { critical: false, value: der(DER.octetString, keyId(privateKey)) }),
      extension("2.5.29.30", { critical: true, value: derSequence(permittedNames()) }),
    ],
  });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { certificate: certificatePem(certificate), privateKeyPem: pem };
}

/** permittedSubtrees [0] of dNSName [2] each; a domain stands for the names below it too. @see RFC 5280 section 4.2.1.10 */
function permittedNames(): Uint8Array {
  return der(0xa0, ...DOMAINS.map((domain) => derSequence(der(0x82, utf8(domain)))));
}

function issueLeaf(options: {
  readonly host: string;
  readonly leafKey: KeyObject;
  readonly key: KeyObject;
  readonly nowMs: number;
}): Uint8Array {
  const { host, leafKey, key, nowMs } = options;
  return issueCertificate({
    // A common name has at most 64 characters, and a host may have more.
    subject: SIMULATION_MARK,
    subjectKey: leafKey,
    issuer: NAME,
    issuerKey: key,
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + LEAF_MS,
    extensions: [
      extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x80), 7) }),
      extension("2.5.29.37", { critical: false, value: derSequence(derOid("1.3.6.1.5.5.7.3.1")) }),
      extension("2.5.29.17", { critical: false, value: derSequence(der(0x82, utf8(host))) }),
      extension("2.5.29.35", { critical: false, value: derSequence(der(0x80, keyId(key))) }),
    ],
  });
}

/** @see RFC 7093 section 2, method 1 */
function keyId(key: KeyObject): Uint8Array {
  const { x = "", y = "" } = createPublicKey(key).export({ format: "jwk" });
  const point = Buffer.concat([
    Uint8Array.of(4),
    Buffer.from(x, "base64url"),
    Buffer.from(y, "base64url"),
  ]);
  return fromBase64(hash("sha256", point, "base64")).subarray(0, 20);
}

/** Readers see the old file or the new one, never half of it. */
function writeWhole(path: string, text: string): void {
  const made = `${path}.${process.pid}`;
  writeFileSync(made, text, { mode: 0o600 });
  renameSync(made, path);
}
