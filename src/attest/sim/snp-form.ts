import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { sha256, toBase64Url, toHex } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { SIMULATION_MARK } from "../evidence/simulation-mark.ts";
import type { SnpProduct, SnpTcb } from "../evidence/snp-fields.ts";
import type { SnpCpuid, SnpReport, SnpReportVersion } from "../evidence/snp-report.ts";
import type { SnpTrust } from "../verify/amd-roots.ts";
import type { SnpCertificates } from "../verify/snp-chain.ts";
import { ECDSA_P384_SHA384 } from "../x509/chain.ts";
import { rsaPssSha384 } from "../x509/rsa.ts";
import { vcekExtensions, vlekExtensions } from "./chip-key-extensions.ts";
import { authorityExtensions, issueCertificate } from "../x509/issue-certificate.ts";
import type { CertificateRequest } from "../x509/issue-certificate.ts";
import { reportOf, signReport } from "./platform.ts";

const DAY_MS = 86_400_000;
const NAME_SUFFIX = ` ${SIMULATION_MARK}`;

const CPUIDS: Readonly<Record<SnpProduct, SnpCpuid>> = {
  Milan: { famId: 0x19, modId: 0x01, step: 1 },
  Genoa: { famId: 0x19, modId: 0x11, step: 1 },
  Turin: { famId: 0x1a, modId: 0x02, step: 1 },
};

/** The certificates of a form, by role. */
export type SnpFormRole = "ark" | "authority" | "key";

/** A chip whose Evidence has hardware's form, under a root of its own: it is no hardware. */
export type SnpForm = {
  readonly product: SnpProduct;
  readonly kind: "vcek" | "vlek";
  readonly certificates: SnpCertificates;
  /** What a verifier has to be given to follow this chain; no production verifier is. */
  readonly trust: SnpTrust;
  readonly names: Readonly<Record<SnpFormRole, string>>;
  /** The private P-384 key that signs reports. */
  readonly signingKey: KeyObject;
  /** 64 bytes, Turin's filled up with zeros; zero for a VLEK. */
  readonly chipId: Uint8Array;
  readonly tcb: SnpTcb;
};

/**
 * Makes a chain ARK, ASK, VCEK or ARK, ASVK, VLEK of AMD's form. The authorities' keys are the
 * caller's: RSA (then RSASSA-PSS, as AMD's) or P-384. `change` may alter a certificate before it is
 * signed.
 */
export function createSnpForm(options: {
  readonly product: SnpProduct;
  readonly kind: "vcek" | "vlek";
  readonly keys: { readonly ark: KeyObject; readonly authority: KeyObject };
  readonly nowMs: number;
  readonly change?: (role: SnpFormRole, request: CertificateRequest) => CertificateRequest;
}): SnpForm {
  const { product, kind, keys, nowMs, change = (_role, request) => request } = options;
  const tcb = tcbOf(product);
  const hwId = new Uint8Array(randomBytes(product === "Turin" ? 8 : 64));
  const signingKey = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
  const names = namesOf(product, kind);
  const issue = (role: SnpFormRole, issuer: "ark" | "authority"): Uint8Array =>
    issueCertificate(
      change(role, {
        subject: names[role],
        subjectKey: role === "key" ? signingKey : keys[role],
        issuer: names[issuer],
        issuerKey: keys[issuer],
        notBeforeMs: nowMs - DAY_MS,
        notAfterMs: nowMs + 7 * 365 * DAY_MS,
        extensions: extensionsOf(role, { product, kind, hwId, tcb }),
      }),
    );
  const chipId = new Uint8Array(64);
  if (kind === "vcek") chipId.set(hwId);
  return {
    product,
    kind,
    certificates: {
      ark: issue("ark", "ark"),
      authority: issue("authority", "ark"),
      key: issue("key", "authority"),
      crl: null,
    },
    trust: trustOf(product, keys.ark),
    names,
    signingKey,
    chipId,
    tcb,
  };
}

/** A signed report of the form's chip: 1184 bytes, of `version`, with `changes` to its fields. */
export function snpFormReport(
  form: SnpForm,
  version: SnpReportVersion,
  changes: Partial<SnpReport> = {},
): Uint8Array {
  const blank = {
    measurement: new Uint8Array(48).fill(0xa1),
    reportData: new Uint8Array(64).fill(0xb2),
    hostData: new Uint8Array(32),
    reportId: new Uint8Array(32).fill(7),
  };
  const chip = { productName: form.product, hwId: form.chipId, tcb: form.tcb };
  return signReport(
    {
      ...reportOf({ chip }, blank),
      version,
      signingKey: form.kind,
      cpuid: version === 2 ? null : CPUIDS[form.product],
      mitVectors: version === 5 ? { launch: 1n, current: 1n } : null,
      ...changes,
    },
    { vcekKey: form.signingKey },
  );
}

/** Wire Evidence of type `snp` of a report and the form's certificates. */
export function snpFormWire(form: SnpForm, report: Uint8Array): WireEvidence {
  const { ark, authority, key } = form.certificates;
  const [ask, vcek] = form.kind === "vcek" ? ["ask", "vcek"] : ["asvk", "vlek"];
  return {
    type: "snp",
    evidence: toBase64Url(report),
    collateral: {
      ark: toBase64Url(ark),
      [ask]: toBase64Url(authority),
      [vcek]: toBase64Url(key),
    },
  };
}

function namesOf(product: SnpProduct, kind: "vcek" | "vlek"): Record<SnpFormRole, string> {
  return {
    ark: `ARK-${product}${NAME_SUFFIX}`,
    authority: `SEV-${kind === "vlek" ? "VLEK-" : ""}${product}${NAME_SUFFIX}`,
    key: `SEV-${kind.toUpperCase()}${NAME_SUFFIX}`,
  };
}

function extensionsOf(
  role: SnpFormRole,
  chip: {
    readonly product: SnpProduct;
    readonly kind: "vcek" | "vlek";
    readonly hwId: Uint8Array;
    readonly tcb: SnpTcb;
  },
): Uint8Array[] {
  if (role !== "key") return authorityExtensions(role === "ark" ? 1 : 0);
  const { product, kind, hwId, tcb } = chip;
  return kind === "vcek"
    ? vcekExtensions({ productName: `${product}-B0`, hwId, tcb })
    : vlekExtensions({ productName: product, cspId: "CN=simulation.invalid", tcb });
}

function tcbOf(product: SnpProduct): SnpTcb {
  return product === "Turin"
    ? { fmc: 1, bootloader: 2, tee: 0, snp: 4, microcode: 80 }
    : { fmc: null, bootloader: 10, tee: 0, snp: 23, microcode: 219 };
}

/** Only this product's root is known; the others' places hold what no digest is. */
function trustOf(product: SnpProduct, arkKey: KeyObject): SnpTrust {
  const digest = toHex(sha256(createPublicKey(arkKey).export({ format: "der", type: "spki" })));
  const none = { Milan: "none", Genoa: "none", Turin: "none" };
  return {
    algorithm:
      arkKey.asymmetricKeyType === "rsa"
        ? rsaPssSha384(arkKey.asymmetricKeyDetails?.modulusLength ?? 0)
        : ECDSA_P384_SHA384,
    arkKeySha256: { ...none, [product]: digest },
    nameSuffix: NAME_SUFFIX,
  };
}
