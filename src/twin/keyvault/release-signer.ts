import { createPrivateKey, generateKeyPair, generateKeyPairSync, hash } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { CompactSign } from "jose";
import { z } from "zod";
import { fromBase64, toBase64, toBase64Url, utf8 } from "../../base/index.ts";
import { SIMULATION_MARK } from "../../attest/evidence/simulation-mark.ts";
import { derBitString, derOid, derSequence, der } from "../../attest/der/write.ts";
import {
  authorityExtensions,
  extension,
  issueCertificate,
} from "../../attest/x509/issue-certificate.ts";
import { certificatePem } from "../../attest/x509/server-certificate.ts";
import type { TwinBase } from "../service.ts";
import { defineKind } from "../state.ts";
import type { TwinState } from "../state.ts";

const HOUR_MS = 3_600_000;
const ROOT_MS = 5 * 365 * 24 * HOUR_MS;
const LEAF_MS = 90 * 24 * HOUR_MS;
const makePair = promisify(generateKeyPair);
const ROOT_NAME = `${SIMULATION_MARK} VAULT`;

const SIGNERS = defineKind(
  "keyvault-signer",
  z.strictObject({
    /** The root, DER in base64, and its private key. */
    root: z.string(),
    rootKeyPem: z.string(),
    /** The RSA key that all hosts' leaves have; null before the first release: making it takes time. */
    leafKeyPem: z.string().nullable(),
  }),
);

/** Signs the answers of a release, with a certificate of the vault's host. */
export type ReleaseSigner = {
  /** DER of the root: what a client of the double pins. */
  readonly root: Uint8Array;
  readonly sign: (host: string, payload: unknown) => Promise<string>;
};

/**
 * Opens the signer of a twin's vaults, or makes it: keys in the twin's state, the root also as
 * keyvault/release-root.pem in its folder. The front's own CA is another one: it signs nothing but TLS.
 */
export function openReleaseSigner(
  base: Pick<TwinBase, "state" | "clock" | "folder">,
): ReleaseSigner {
  const stored = base.state.get(SIGNERS, "release") ?? make(base.clock());
  base.state.put(SIGNERS, "release", stored);
  const root = fromBase64(stored.root);
  writeRoot(base.folder, root);
  const rootKey = createPrivateKey(stored.rootKeyPem);
  return {
    root,
    sign: async (host, payload) => {
      const leafKey = await openLeafKey(base.state);
      const leaf = issueLeaf({ host, leafKey, rootKey, nowMs: base.clock() });
      return new CompactSign(utf8(JSON.stringify(payload)))
        .setProtectedHeader({
          alg: "RS256",
          typ: "JWT",
          kid: toBase64Url(fromBase64(hash("sha1", leaf, "base64"))),
          x5t: toBase64Url(fromBase64(hash("sha1", leaf, "base64"))),
          "x5t#S256": toBase64Url(fromBase64(hash("sha256", leaf, "base64"))),
          x5c: [toBase64(leaf), toBase64(root)],
        })
        .sign(leafKey);
    },
  };
}

async function openLeafKey(state: TwinState): Promise<KeyObject> {
  const known = state.get(SIGNERS, "release")?.leafKeyPem ?? null;
  if (known !== null) return createPrivateKey(known);
  const { privateKey } = await makePair("rsa", { modulusLength: 2048 });
  const stored = state.get(SIGNERS, "release");
  // Another call may have made one meanwhile, and its answers are out.
  const leafKeyPem = stored?.leafKeyPem ?? pemOf(privateKey);
  if (stored !== null) state.put(SIGNERS, "release", { ...stored, leafKeyPem });
  return createPrivateKey(leafKeyPem);
}

function make(nowMs: number): z.infer<(typeof SIGNERS)["schema"]> {
  const rootKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const root = issueCertificate({
    subject: ROOT_NAME,
    subjectKey: rootKey,
    issuer: ROOT_NAME,
    issuerKey: rootKey,
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + ROOT_MS,
    extensions: authorityExtensions(0),
  });
  return { root: toBase64(root), rootKeyPem: pemOf(rootKey), leafKeyPem: null };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function issueLeaf(options: {
  readonly host: string;
  readonly leafKey: KeyObject;
  readonly rootKey: KeyObject;
  readonly nowMs: number;
}): Uint8Array {
  const { host, leafKey, rootKey, nowMs } = options;
  return issueCertificate({
    // A common name has at most 64 characters, and a host may have more.
    subject: `${SIMULATION_MARK} VAULT SIGNER`,
    subjectKey: leafKey,
    issuer: ROOT_NAME,
    issuerKey: rootKey,
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + LEAF_MS,
    extensions: [
      extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x80), 7) }),
      extension("2.5.29.37", { critical: false, value: derSequence(derOid("1.3.6.1.5.5.7.3.1")) }),
      extension("2.5.29.17", { critical: false, value: derSequence(der(0x82, utf8(host))) }),
    ],
  });
}

function writeRoot(folder: string, root: Uint8Array): void {
  const own = join(folder, "keyvault");
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const path = join(own, "release-root.pem");
  const made = `${path}.${process.pid}`;
  writeFileSync(made, certificatePem(root), { mode: 0o600 });
  renameSync(made, path);
}
