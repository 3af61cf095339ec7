import { fromBase64Url, isPpmlError, PpmlError, toBase64Url } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseAzureVtpmJson } from "../evidence/azure-vtpm-json.ts";
import { snpProductOfName } from "../evidence/snp-fields.ts";
import type { SnpProduct } from "../evidence/snp-fields.ts";
import { parseSnpReport } from "../evidence/snp-report.ts";
import { parseVcekExtensions, parseVlekExtensions } from "../evidence/vcek-extensions.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import { amdAuthority } from "./amd-authorities.ts";

/** "-": PEM begins with dashes, DER does not. */
const DASH = 0x2d;

/** Names of AMD's certificates on the wire, by their common names. @see AMD 57230 (VCEK), certificate profiles */
const NAMES: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/^ARK-/, "ark"],
  [/^SEV-VLEK-/, "asvk"],
  [/^SEV-VCEK/, "vcek"],
  [/^SEV-VLEK/, "vlek"],
  [/^SEV-/, "ask"],
];

/**
 * Certificates of an SNP chain in PEM or DER, in any order, under the names that the wire has.
 * @throws attest.invalid where one is not AMD's, or there twice
 */
export function nameAmdCertificates(bytes: Uint8Array): Record<string, string> {
  const all =
    bytes[0] === DASH ? parsePemCertificates(Buffer.from(bytes).toString("latin1")) : [bytes];
  const named: Record<string, string> = {};
  for (const der of all) {
    const { commonName } = parseCertificate(der);
    const name = NAMES.find(([pattern]) => pattern.test(commonName))?.[1];
    if (name === undefined || Object.hasOwn(named, name))
      throw new PpmlError(
        "attest.invalid",
        `expected AMD's ARK, ASK or ASVK, and VCEK or VLEK, each once; got a certificate named "${commonName}"`,
      );
    named[name] = toBase64Url(der);
  }
  return named;
}

/**
 * Adds AMD's own authorities of the chip's product where the collateral of SNP Evidence lacks them:
 * they are public, always the same, and checked against the pinned root keys like any others. Other
 * Evidence is given back as it is.
 * @throws attest.invalid, attest.unsupported
 */
export function withAmdAuthorities(given: WireEvidence): WireEvidence {
  const wire = withVcekOnce(given);
  const { ark, ask } = wire.collateral;
  // A vTPM's key is a VCEK: nothing lacks, whatever its Evidence holds.
  if (wire.type === "az-snp-vtpm" && ark !== undefined && ask !== undefined) return wire;
  const key = leafOf(wire);
  if (key === null) return wire;
  const authority = key.kind === "vlek" ? "asvk" : "ask";
  // A host's table may have the ASVK in the ASK's place.
  const hasAuthority = authority in wire.collateral || (key.kind === "vlek" && isAsvk(ask));
  if (ark !== undefined && hasAuthority) return wire;
  const product = productOf(key);
  return {
    ...wire,
    collateral: {
      ark: toBase64Url(amdAuthority(product, "ark")),
      ...(hasAuthority ? {} : { [authority]: toBase64Url(amdAuthority(product, authority)) }),
      ...wire.collateral,
    },
  };
}

/** Whether it is an ASVK by its name; where it does not parse, the verifier is to say so. */
function isAsvk(text: string | undefined): boolean {
  if (text === undefined) return false;
  try {
    return parseCertificate(certificateOf(decode(text))).commonName.startsWith("SEV-VLEK-");
  } catch (error) {
    if (isPpmlError(error)) return true;
    throw error;
  }
}

/** Hosts may give PEM in DER's place. */
function certificateOf(bytes: Uint8Array): Uint8Array {
  return bytes[0] === DASH
    ? (parsePemCertificates(Buffer.from(bytes).toString("latin1"))[0] ?? bytes)
    : bytes;
}

/**
 * A vTPM's Evidence brings its VCEK. One of the same key beside it says nothing new, and is left out;
 * one of another chip stays, and is refused.
 */
function withVcekOnce(wire: WireEvidence): WireEvidence {
  const { vcek, ...rest } = wire.collateral;
  if (wire.type !== "az-snp-vtpm" || vcek === undefined) return wire;
  const { vcek: own } = parseAzureVtpmJson(decode(wire.evidence));
  if (own === null) return wire;
  const beside = parseCertificate(certificateOf(decode(vcek)));
  const isSame = parseCertificate(own).publicKey.equals(beside.publicKey);
  return isSame ? { ...wire, collateral: rest } : wire;
}

type Leaf = { readonly kind: "vcek" | "vlek"; readonly certificate: Uint8Array };

function leafOf({ type, evidence, collateral }: WireEvidence): Leaf | null {
  if (type === "az-snp-vtpm") {
    const { vcek } = parseAzureVtpmJson(decode(evidence));
    return vcek === null ? null : { kind: "vcek", certificate: vcek };
  }
  if (type !== "snp") return null;
  const { vcek, vlek } = collateral;
  // A host may give both: then the report says which of them signed it.
  const isVlek =
    vcek !== undefined && vlek !== undefined
      ? parseSnpReport(decode(evidence)).signingKey === "vlek"
      : vlek !== undefined;
  const text = isVlek ? vlek : vcek;
  if (text === undefined) return null;
  return { kind: isVlek ? "vlek" : "vcek", certificate: certificateOf(decode(text)) };
}

/**
 * The product of the VCEK or VLEK that SNP Evidence brings; null without one.
 * @throws attest.invalid, attest.unsupported
 */
export function snpProductOf(wire: WireEvidence): SnpProduct | null {
  const key = leafOf(wire);
  return key === null ? null : productOf(key);
}

/** The product that a VCEK or VLEK names, such as "Milan-B0". */
function productOf({ kind, certificate }: Leaf): SnpProduct {
  const parse = kind === "vlek" ? parseVlekExtensions : parseVcekExtensions;
  return snpProductOfName(parse(parseCertificate(certificate)).productName);
}

function decode(text: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "expected base64url in the Evidence", { cause });
  }
}
