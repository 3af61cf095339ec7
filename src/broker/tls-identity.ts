import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { fromUtf8, isPpmlError, PpmlError, utf8 } from "../base/index.ts";
import { certificatePem, issueServerCertificate } from "../attest/x509/server-certificate.ts";
import {
  errnoOf,
  readPrivateFile,
  syncFolder,
  temporaryPath,
  writePrivateFile,
} from "../key/private-file.ts";

const MAX_PEM_BYTES = 64 * 1024;
const DAY_MS = 86_400_000;
const LIFETIME_DAYS = 365;
const RENEW_BEFORE_DAYS = 30;

/** What a broker shows on TCP. */
export type TlsIdentity = {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** SHA-256 over the certificate's SubjectPublicKeyInfo, hex: what clients pin. */
  readonly spkiSha256: string;
};

/**
 * Loads a certificate (PEM, its chain behind it) and its private key (PEM, mode 0600).
 * @throws config.invalid where they are none or do not belong together; key.vault_missing key.vault_io
 */
export async function loadTlsIdentity(files: {
  readonly certificate: string;
  readonly key: string;
}): Promise<TlsIdentity> {
  const keyPem = fromUtf8(await readPrivateFile({ path: files.key, maxBytes: MAX_PEM_BYTES }));
  const identity = identityOf(await readCertificate(files.certificate), keyPem);
  if (identity !== null) return identity;
  throw new PpmlError(
    "config.invalid",
    `${files.certificate} and ${files.key} are not a certificate and its private key in PEM`,
  );
}

/**
 * Opens the broker's own certificate in a folder, and makes it where it is missing: self-signed, on
 * P-256, good for a year. Within its last 30 days it is made anew for the same key, so that a pinned
 * key stays good.
 * @throws key.vault_io config.invalid
 */
export async function openTlsIdentity(options: {
  readonly folder: string;
  /** The name or address that it listens on. */
  readonly host: string;
  readonly nowMs: number;
}): Promise<TlsIdentity> {
  const { folder, host, nowMs } = options;
  const paths = { certificate: join(folder, "broker.crt"), key: join(folder, "broker.key") };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyPem = await openKey(paths.key);
  const known = await knownIdentity(paths.certificate, keyPem);
  if (known !== null && stillGood(known, { host, nowMs })) return known;
  const key = createPrivateKey(keyPem);
  const pem = certificatePem(
    issueServerCertificate({
      commonName: "ppml broker",
      names: [...new Set(["localhost", "127.0.0.1", "::1", host])],
      key,
      notBeforeMs: nowMs - DAY_MS,
      notAfterMs: nowMs + LIFETIME_DAYS * DAY_MS,
    }),
  );
  await replaceFile(paths.certificate, pem);
  const made = identityOf(pem, keyPem);
  if (made === null) throw new PpmlError("base.internal", "the new certificate is not its key's");
  return made;
}

async function openKey(path: string): Promise<string> {
  try {
    return fromUtf8(await readPrivateFile({ path, maxBytes: MAX_PEM_BYTES }));
  } catch (error) {
    if (!isPpmlError(error, "key.vault_missing")) throw error;
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = String(privateKey.export({ format: "pem", type: "pkcs8" }));
  await writePrivateFile({ path, bytes: utf8(pem) });
  return pem;
}

async function knownIdentity(path: string, keyPem: string): Promise<TlsIdentity | null> {
  try {
    return identityOf(await readCertificate(path), keyPem);
  } catch (error) {
    if (isPpmlError(error, "config.missing")) return null;
    throw error;
  }
}

function stillGood(
  { certificatePem: pem }: TlsIdentity,
  options: { readonly host: string; readonly nowMs: number },
): boolean {
  const { host, nowMs } = options;
  const certificate = new X509Certificate(pem);
  const names = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  const endMs = Date.parse(certificate.validTo);
  return names !== undefined && nowMs < endMs - RENEW_BEFORE_DAYS * DAY_MS;
}

function identityOf(pem: string, keyPem: string): TlsIdentity | null {
  try {
    const certificate = new X509Certificate(pem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return null;
    const spki = certificate.publicKey.export({ format: "der", type: "spki" });
    const spkiSha256 = createHash("sha256").update(spki).digest("hex");
    return { certificatePem: pem, keyPem, spkiSha256 };
  } catch {
    // Not PEM, or of something else: the caller says what was expected.
    return null;
  }
}

async function readCertificate(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await readFile(path));
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT")
      throw new PpmlError("config.missing", `there is no file ${path}`, { cause });
    throw new PpmlError("config.invalid", `${path} cannot be read`, { cause });
  }
  if (bytes.byteLength <= MAX_PEM_BYTES) return fromUtf8(bytes);
  throw new PpmlError("config.invalid", `${path} is longer than ${MAX_PEM_BYTES} bytes`);
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = temporaryPath(path);
  const file = await open(temporary, "wx", 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(join(path, ".."));
}
