import { constants, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { sha256, toBase64Url, toHex, utf8 } from "../../src/base/index.ts";
import { encodeCbor } from "../../src/attest/cbor/encode.ts";
import type { CborValue } from "../../src/attest/cbor/decode.ts";
import {
  authorityExtensions,
  encodeName,
  extension,
} from "../../src/attest/x509/issue-certificate.ts";
import {
  der,
  derBitString,
  derInteger,
  derOid,
  derSequence,
  derTime,
} from "../../src/attest/der/write.ts";
import { RSA_PKCS1_SHA384 } from "../../src/attest/x509/rsa.ts";

export const UVM_EKU = "1.3.6.1.4.1.311.76.59.1.2";
export const SIGNED_AT_MS = Date.UTC(2026, 0, 1);
export const uvmMeasurement = new Uint8Array(48).fill(0xa1);

const rootKey = newKey();
const leafKey = newKey();

/** Parts of an endorsement that a test may replace. */
export type UvmChanges = {
  readonly eku?: string;
  readonly leafKeyUsage?: Uint8Array[];
  readonly leafNotAfterMs?: number;
  readonly signingKey?: KeyObject;
  readonly algorithm?: bigint;
  readonly issuer?: string;
  readonly payload?: string;
  readonly signedAtMs?: number;
  readonly header?: (entries: CborEntry[]) => CborEntry[];
};
type CborEntry = readonly [CborValue, CborValue];

const root = issue({ subject: "root", key: rootKey, extensions: authorityExtensions(0) });

/** did:x509 of the form's own root. */
export const uvmIssuer = `did:x509:0:sha256:${toBase64Url(sha256(root))}::eku:${UVM_EKU}`;

/** A utility VM's endorsement of Microsoft's form, under a root of its own. */
export function makeUvmEndorsement(changes: UvmChanges = {}): Uint8Array {
  const leaf = issue({
    subject: "leaf PPML SIMULATION - NOT HARDWARE",
    key: leafKey,
    notAfterMs: changes.leafNotAfterMs ?? SIGNED_AT_MS + 1000,
    extensions: [
      ...(changes.leafKeyUsage ?? []),
      extension("2.5.29.37", {
        critical: false,
        value: derSequence(derOid(changes.eku ?? UVM_EKU)),
      }),
    ],
  });
  const entries: CborEntry[] = [
    [int(1n), int(changes.algorithm ?? -38n)],
    [int(3n), text("application/json")],
    [int(33n), { kind: "array", items: [bytes(leaf), bytes(root)] }],
    [text("iss"), text(changes.issuer ?? uvmIssuer)],
    [text("feed"), text("ContainerPlat-AMD-UVM")],
    [
      text("signingtime"),
      { kind: "tag", tag: 1n, item: int(BigInt((changes.signedAtMs ?? SIGNED_AT_MS) / 1000)) },
    ],
  ];
  const header = encodeCbor({ kind: "map", entries: changes.header?.(entries) ?? entries });
  const payload = utf8(changes.payload ?? uvmPayload());
  const toBeSigned = encodeCbor({
    kind: "array",
    items: [text("Signature1"), bytes(header), bytes(new Uint8Array()), bytes(payload)],
  });
  const signature = sign("sha384", toBeSigned, {
    key: changes.signingKey ?? leafKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 48,
  });
  return encodeCbor({
    kind: "tag",
    tag: 18n,
    item: {
      kind: "array",
      items: [
        bytes(header),
        { kind: "map", entries: [] },
        bytes(payload),
        bytes(new Uint8Array(signature)),
      ],
    },
  });
}

/** The payload of the form, with other or more members. */
export function uvmPayload(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    "x-ms-sevsnpvm-launchmeasurement": toHex(uvmMeasurement),
    "x-ms-sevsnpvm-guestsvn": "103",
    "x-ms-sevsnpvm-guestsvn-int": 103,
    ...changes,
  });
}

function issue(options: {
  readonly subject: string;
  readonly key: KeyObject;
  readonly extensions: readonly Uint8Array[];
  readonly notAfterMs?: number;
}): Uint8Array {
  const tbs = derSequence(
    der(0xa0, derInteger(Uint8Array.of(2))),
    derInteger(Uint8Array.of(1)),
    RSA_PKCS1_SHA384.identifier,
    encodeName("root"),
    derSequence(derTime(SIGNED_AT_MS - 1000), derTime(options.notAfterMs ?? Date.UTC(2040, 0, 1))),
    encodeName(options.subject),
    createPublicKey(options.key).export({ format: "der", type: "spki" }),
    der(0xa3, derSequence(...options.extensions)),
  );
  const signature = sign("sha384", tbs, rootKey);
  return derSequence(tbs, RSA_PKCS1_SHA384.identifier, derBitString(signature));
}

function newKey(): KeyObject {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}

function int(value: bigint): CborValue {
  return { kind: "int", value };
}

function text(value: string): CborValue {
  return { kind: "text", value };
}

function bytes(value: Uint8Array): CborValue {
  return { kind: "bytes", value };
}
