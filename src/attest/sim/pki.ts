import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fromBase64, PpmlError } from "../../base/index.ts";
import { parseVcekExtensions } from "../evidence/vcek-extensions.ts";
import type { VcekExtensions } from "../evidence/vcek-extensions.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { encodePem } from "./pem-write.ts";
import { vcekExtensions } from "./chip-key-extensions.ts";
import { authorityExtensions, issueCertificate } from "../x509/issue-certificate.ts";
import { SIMULATION_MARK, verifyVcekChain } from "./verify-sim.ts";

const MAX_FILE_BYTES = 64 * 1024;
const DAY_MS = 86_400_000;
const FILES = {
  ark: "ark.pem",
  ask: "ask.der",
  vcek: "vcek.der",
  vcekKey: "vcek-key.der",
} as const;

/** One simulated chip with its certificates. The keys of ARK and ASK are gone once these are made. */
export type SimulationPki = {
  /** The root in DER: what a simulation vault pins. */
  readonly ark: Uint8Array;
  readonly ask: Uint8Array;
  readonly vcek: Uint8Array;
  /** The private P-384 key that signs reports. */
  readonly vcekKey: KeyObject;
  readonly chip: VcekExtensions;
};

/**
 * Makes a new simulated chip: P-384 keys and a chain ARK, ASK, VCEK from an hour before `nowMs`
 * (clocks differ) for 25, 25 and 7 years, as AMD's.
 */
export function createSimulationPki(options: { readonly nowMs: number }): SimulationPki {
  const [arkKey, askKey, vcekKey] = [newKey(), newKey(), newKey()];
  const notBeforeMs = options.nowMs - DAY_MS / 24;
  const chip: VcekExtensions = {
    productName: "Genoa-SIM",
    hwId: new Uint8Array(randomBytes(64)),
    tcb: { bootloader: 10, tee: 0, snp: 23, microcode: 84, fmc: null },
  };
  const authority = {
    notBeforeMs,
    notAfterMs: notBeforeMs + 25 * 365 * DAY_MS,
    issuer: nameOf("ARK"),
    issuerKey: arkKey,
  };
  const ark = issueCertificate({
    ...authority,
    subject: nameOf("ARK"),
    subjectKey: arkKey,
    extensions: authorityExtensions(1),
  });
  const ask = issueCertificate({
    ...authority,
    subject: nameOf("ASK"),
    subjectKey: askKey,
    extensions: authorityExtensions(0),
  });
  const vcek = issueCertificate({
    subject: nameOf("VCEK"),
    subjectKey: vcekKey,
    issuer: nameOf("ASK"),
    issuerKey: askKey,
    notBeforeMs,
    notAfterMs: notBeforeMs + 7 * 365 * DAY_MS,
    extensions: vcekExtensions(chip),
  });
  return { ark, ask, vcek, vcekKey, chip };
}

/**
 * Writes a chip to a new folder (0700, files 0600), all or nothing.
 * @throws attest.platform where the folder exists or cannot be written
 */
export function saveSimulationPki(pki: SimulationPki, directory: string): void {
  const target = resolve(directory);
  let temporary: string | null = null;
  const key = pki.vcekKey.export({ format: "der", type: "pkcs8" });
  try {
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    // An empty folder of that name would be replaced by the rename, any other one refuses it.
    temporary = mkdtempSync(`${target}.new-`);
    chmodSync(temporary, 0o700);
    const write = (name: string, bytes: Uint8Array | string): void =>
      writeFileSync(join(temporary ?? target, name), bytes, {
        flag: "wx",
        mode: 0o600,
        flush: true,
      });
    write(FILES.ark, exportRootPem(pki));
    write(FILES.ask, pki.ask);
    write(FILES.vcek, pki.vcek);
    write(FILES.vcekKey, key);
    renameSync(temporary, target);
  } catch (cause) {
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true });
    throw new PpmlError(
      "attest.platform",
      `the simulated platform could not be written to ${target}: the folder must not exist yet and its parent must be writable`,
      { cause },
    );
  } finally {
    key.fill(0);
  }
}

/**
 * Loads a chip and checks that its folder is private, its chain holds and its key is the VCEK's.
 * Validity in time is left to the verifier.
 * @throws attest.platform
 */
export function loadSimulationPki(directory: string): SimulationPki {
  try {
    requirePrivate(directory, "directory");
    const read = (name: string): Buffer => {
      const path = join(directory, name);
      requirePrivate(path, "file");
      return readFileSync(path);
    };
    const ark = parseRootPem(read(FILES.ark).toString("latin1"));
    const ask = new Uint8Array(read(FILES.ask));
    const vcek = new Uint8Array(read(FILES.vcek));
    const keyBytes = read(FILES.vcekKey);
    const vcekKey = createPrivateKey({ key: keyBytes, format: "der", type: "pkcs8" });
    keyBytes.fill(0);
    const certificate = parseCertificate(vcek);
    verifyVcekChain({ ark, ask, vcek, nowMs: certificate.notBeforeMs });
    if (!createPublicKey(vcekKey).equals(certificate.publicKey))
      throw new PpmlError("attest.platform", `${FILES.vcekKey} is not the key of ${FILES.vcek}`);
    return { ark, ask, vcek, vcekKey, chip: parseVcekExtensions(certificate) };
  } catch (cause) {
    throw new PpmlError(
      "attest.platform",
      `${directory} is not the folder of a simulated platform: ${cause instanceof Error ? cause.message : "it cannot be read"}`,
      { cause },
    );
  }
}

/** The root certificate as PEM: what is pinned, and all that a verifier needs to know. */
export function exportRootPem(pki: Pick<SimulationPki, "ark">): string {
  return encodePem(pki.ark);
}

/**
 * DER of a simulation root in PEM, as `exportRootPem` writes it, at most 64 KiB.
 * @throws attest.invalid where it is not exactly one certificate of a simulation
 */
export function parseRootPem(text: string): Uint8Array {
  const match =
    /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)\n-----END CERTIFICATE-----\n?$/.exec(
      text.length > MAX_FILE_BYTES ? "" : text.replaceAll("\r\n", "\n"),
    );
  let der: Uint8Array;
  try {
    der = fromBase64((match?.[1] ?? "-").replaceAll("\n", ""));
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected exactly one certificate in PEM", { cause });
  }
  if (!parseCertificate(der).commonName.includes(SIMULATION_MARK))
    throw new PpmlError(
      "attest.invalid",
      `expected the root of a simulation, whose name has "${SIMULATION_MARK}"`,
    );
  return der;
}

function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
}

function nameOf(role: string): string {
  return `${role} ${SIMULATION_MARK}`;
}

function requirePrivate(path: string, kind: "directory" | "file"): void {
  const stats = lstatSync(path);
  const right = kind === "directory" ? stats.isDirectory() : stats.isFile();
  if (!right || (kind === "file" && stats.size > MAX_FILE_BYTES))
    throw new PpmlError("attest.platform", `${path} is not a ${kind} of the expected size`);
  if ((stats.mode & 0o077) !== 0)
    throw new PpmlError("attest.platform", `${path} is open to other users: chmod go= ${path}`);
}
