import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { concatBytes, PpmlError, Secret, sha256, toHex, utf8 } from "../../base/index.ts";
import { certificatePem } from "../../attest/x509/server-certificate.ts";
import { encodeSecretPem } from "../secret-pem.ts";
import {
  type CertificateSubject,
  issueSelfSigned,
  keyIdOf,
  makeCertificationRequest,
} from "./certificate.ts";
import { encodeKubernetesSecret } from "./kubernetes-secret.ts";
import { encodePkcs12, KEYSTORE_ITERATIONS } from "./pkcs12.ts";
import { MAX_NAMES, parseServerName } from "./server-name.ts";
import { commonNameSubject, encodeSubject } from "./subject.ts";

/** Longest validity that browsers take, in days. @see CA/Browser Forum Baseline Requirements 6.3.2 */
export const PUBLIC_MAX_DAYS = 398;
/** Days of validity where no others are asked for, and the most. */
export const DEFAULT_DAYS = 397;
export const MAX_DAYS = 3650;

/** The alias of the key in the keystores. */
export const KEYSTORE_ALIAS = "server";

/** The files, in the order in which they are told; the first six are the entries of keys.yaml. */
export const TLS_FILES = [
  "keystore.jks",
  "keystore.pkcs12",
  "server.pem",
  "server.crt",
  "server.csr",
  "server.key",
  "keys.yaml",
] as const;

const KEY_BITS = 3072;
const DAY_MS = 86_400_000;
/** Clocks of other machines may be behind. */
const BACKDATED_MS = 300_000;
const MAX_COMMON_NAME = 64;

/** Files of a new TLS key; dispose them. */
export type TlsFiles = Disposable & {
  readonly files: ReadonlyMap<(typeof TLS_FILES)[number], Secret>;
  readonly serverNames: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 over the certificate, hex. */
  readonly certificateSha256: string;
};

/**
 * Makes an RSA-3072 key, a self-signed certificate, a certification request, the keystores under the
 * password and the Kubernetes Secret of them all. RSA and not P-256: it is the one kind of key that
 * every reader of these files takes, old Java and Hadoop among them.
 * @param options.subject distinguished name (RFC 4514); otherwise the first server name alone
 * @param options.serverNames DNS names and IP addresses, 1 to 100
 * @param options.days of validity, 1 to `MAX_DAYS`
 * @param options.password as `requirePassword` takes it
 * @throws provision.input
 */
export async function makeTlsFiles(options: {
  readonly subject?: string | undefined;
  readonly serverNames: readonly string[];
  readonly days: number;
  readonly password: Secret;
  readonly nowMs: number;
}): Promise<TlsFiles> {
  const serverNames = [...new Set(options.serverNames.map(parseServerName))];
  if (serverNames.length === 0 || serverNames.length > MAX_NAMES)
    throw new PpmlError("provision.input", `expected 1 to ${MAX_NAMES} names of the server`);
  const name = encodeSubject(options.subject ?? subjectOf(serverNames));
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: KEY_BITS });
  const subject = { name, key: privateKey, serverNames };
  const notBeforeMs = options.nowMs - BACKDATED_MS;
  // RFC 5280 4.1.2.5: both ends belong to the validity, hence the second less.
  const notAfterMs = notBeforeMs + options.days * DAY_MS - 1000;
  const certificate = issueSelfSigned({ ...subject, notBeforeMs, notAfterMs });
  const files = await filesOf(subject, { certificate, password: options.password });
  return {
    files,
    serverNames,
    notBeforeMs,
    notAfterMs,
    certificateSha256: toHex(sha256(certificate)),
    [Symbol.dispose]: () => {
      for (const secret of files.values()) secret[Symbol.dispose]();
    },
  };
}

async function filesOf(
  subject: CertificateSubject,
  { certificate, password }: { readonly certificate: Uint8Array; readonly password: Secret },
): Promise<TlsFiles["files"]> {
  using privateKey = pkcs8Of(subject.key);
  const keystore = await encodePkcs12(
    { privateKey, certificate, alias: KEYSTORE_ALIAS, keyId: keyIdOf(subject.key) },
    { password, iterations: KEYSTORE_ITERATIONS },
  );
  const keyPem = encodeSecretPem("PRIVATE KEY", privateKey);
  const certificateText = utf8(certificatePem(certificate));
  using request = Secret.take(makeCertificationRequest(subject));
  const entries = new Map<(typeof TLS_FILES)[number], Secret>([
    // PKCS#12 under both names: docs/decisions/0009.
    ["keystore.jks", Secret.copy(keystore)],
    ["keystore.pkcs12", Secret.take(keystore)],
    ["server.pem", keyPem.expose((key) => Secret.take(concatBytes(key, certificateText)))],
    ["server.crt", Secret.copy(certificateText)],
    ["server.csr", encodeSecretPem("CERTIFICATE REQUEST", request)],
    ["server.key", keyPem],
  ]);
  return new Map([...entries, ["keys.yaml", encodeKubernetesSecret(entries)]]);
}

function pkcs8Of(key: KeyObject): Secret {
  return Secret.take(key.export({ format: "der", type: "pkcs8" }));
}

/** RFC 5280 appendix A.1 bounds a common name to 64 characters; a DNS name may be longer. */
function subjectOf(serverNames: readonly string[]): string {
  const short = serverNames.find((name) => name.length <= MAX_COMMON_NAME);
  return commonNameSubject(short ?? "server");
}
