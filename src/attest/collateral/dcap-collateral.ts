import { z } from "zod";
import {
  fromBase64Url,
  fromHex,
  fromUtf8,
  PpmlError,
  toBase64Url,
  toHex,
  utf8,
} from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";

/**
 * What Intel says of a platform, as it sent it. Chains are certificates in PEM, leaf first; CRLs are
 * DER; TCB info and QE identity are the exact JSON bytes that were signed, without their wrapper.
 * Nothing here is verified.
 * @see Intel SGX and TDX PCS API v4; dcap_quoteprov, sgx_ql_qve_collateral_t version 3
 */
export type DcapCollateral = {
  readonly pckCrlIssuerChain: Uint8Array;
  readonly rootCaCrl: Uint8Array;
  readonly pckCrl: Uint8Array;
  readonly tcbInfoIssuerChain: Uint8Array;
  readonly tcbInfo: Uint8Array;
  /** ECDSA P-256 r and s, 64 bytes. */
  readonly tcbInfoSignature: Uint8Array;
  readonly qeIdentityIssuerChain: Uint8Array;
  readonly qeIdentity: Uint8Array;
  /** ECDSA P-256 r and s, 64 bytes. */
  readonly qeIdentitySignature: Uint8Array;
  /** The PCK's chain, for quotes that do not hold it; null where the quote does. */
  readonly pckCertificateChain: Uint8Array | null;
};

/** Longest chain, JSON text and CRL in bytes. A PCK CRL lists each revoked platform in about 40. */
const MAX_CHAIN_BYTES = 64 * 1024;
const MAX_JSON_BYTES = 512 * 1024;
const MAX_CRL_BYTES = 4 * 1024 * 1024;

/** The members in a fixed order, which digests of collateral follow. */
export const DCAP_COLLATERAL_MEMBERS = [
  "pckCrlIssuerChain",
  "rootCaCrl",
  "pckCrl",
  "tcbInfoIssuerChain",
  "tcbInfo",
  "tcbInfoSignature",
  "qeIdentityIssuerChain",
  "qeIdentity",
  "qeIdentitySignature",
  "pckCertificateChain",
] as const satisfies readonly (keyof DcapCollateral)[];

const MAX_BYTES: Readonly<Record<keyof DcapCollateral, number>> = {
  pckCrlIssuerChain: MAX_CHAIN_BYTES,
  rootCaCrl: MAX_CRL_BYTES,
  pckCrl: MAX_CRL_BYTES,
  tcbInfoIssuerChain: MAX_CHAIN_BYTES,
  tcbInfo: MAX_JSON_BYTES,
  tcbInfoSignature: 64,
  qeIdentityIssuerChain: MAX_CHAIN_BYTES,
  qeIdentity: MAX_JSON_BYTES,
  qeIdentitySignature: 64,
  pckCertificateChain: MAX_CHAIN_BYTES,
};

const hexSchema = (maxBytes: number) => z.string().max(2 * maxBytes);
const textSchema = (maxBytes: number) => z.string().max(maxBytes);

/** The JSON form that Intel's and others' tools exchange: PEM and JSON as text, the rest in hex. */
const quoteCollateralV3Schema = z.strictObject({
  pck_crl_issuer_chain: textSchema(MAX_CHAIN_BYTES),
  root_ca_crl: hexSchema(MAX_CRL_BYTES),
  pck_crl: hexSchema(MAX_CRL_BYTES),
  tcb_info_issuer_chain: textSchema(MAX_CHAIN_BYTES),
  tcb_info: textSchema(MAX_JSON_BYTES),
  tcb_info_signature: hexSchema(64),
  qe_identity_issuer_chain: textSchema(MAX_CHAIN_BYTES),
  qe_identity: textSchema(MAX_JSON_BYTES),
  qe_identity_signature: hexSchema(64),
  pck_certificate_chain: textSchema(MAX_CHAIN_BYTES).nullish(),
  // The head of Intel's structure, which some tools write too. Not read: the signed parts say it.
  version: z.union([z.int(), z.string().max(20)]).optional(),
  major_version: z.int().optional(),
  minor_version: z.int().optional(),
  tee_type: z.union([z.int(), z.string().max(20)]).optional(),
});
export type QuoteCollateralV3 = z.infer<typeof quoteCollateralV3Schema>;

/**
 * Reads collateral in the JSON form named QuoteCollateralV3.
 * @throws attest.invalid
 */
export function parseQuoteCollateralV3(value: unknown): DcapCollateral {
  const form = parseWith(quoteCollateralV3Schema, value, {
    what: "the collateral",
    code: "attest.invalid",
  });
  const chain = form.pck_certificate_chain ?? null;
  return checkedCollateral({
    pckCrlIssuerChain: utf8(form.pck_crl_issuer_chain),
    rootCaCrl: decodeHex(form.root_ca_crl, "root_ca_crl"),
    pckCrl: decodeHex(form.pck_crl, "pck_crl"),
    tcbInfoIssuerChain: utf8(form.tcb_info_issuer_chain),
    tcbInfo: utf8(form.tcb_info),
    tcbInfoSignature: decodeHex(form.tcb_info_signature, "tcb_info_signature"),
    qeIdentityIssuerChain: utf8(form.qe_identity_issuer_chain),
    qeIdentity: utf8(form.qe_identity),
    qeIdentitySignature: decodeHex(form.qe_identity_signature, "qe_identity_signature"),
    pckCertificateChain: chain === null ? null : utf8(chain),
  });
}

/** Writes collateral in the JSON form named QuoteCollateralV3. @throws base.invalid_encoding */
export function encodeQuoteCollateralV3(collateral: DcapCollateral): QuoteCollateralV3 {
  const { pckCertificateChain } = collateral;
  return {
    pck_crl_issuer_chain: fromUtf8(collateral.pckCrlIssuerChain),
    root_ca_crl: toHex(collateral.rootCaCrl),
    pck_crl: toHex(collateral.pckCrl),
    tcb_info_issuer_chain: fromUtf8(collateral.tcbInfoIssuerChain),
    tcb_info: fromUtf8(collateral.tcbInfo),
    tcb_info_signature: toHex(collateral.tcbInfoSignature),
    qe_identity_issuer_chain: fromUtf8(collateral.qeIdentityIssuerChain),
    qe_identity: fromUtf8(collateral.qeIdentity),
    qe_identity_signature: toHex(collateral.qeIdentitySignature),
    ...(pckCertificateChain === null
      ? {}
      : { pck_certificate_chain: fromUtf8(pckCertificateChain) }),
  };
}

/**
 * Reads collateral from the wire: base64url under the names of DcapCollateral, all but
 * pckCertificateChain there, no other.
 * @throws attest.collateral where there is none, attest.invalid
 * @see docs/protocol.md section "Evidence"
 */
export function parseDcapWireCollateral(wire: Readonly<Record<string, string>>): DcapCollateral {
  if (Object.keys(wire).length === 0)
    throw new PpmlError(
      "attest.collateral",
      "the quote came without Intel's collateral, and none was added: send it along, or set where it comes from (--collateral or --pccs of ppml broker serve)",
    );
  const known = new Set<string>(DCAP_COLLATERAL_MEMBERS);
  const unknown = Object.keys(wire).find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new PpmlError("attest.invalid", `the collateral has an unknown member ${unknown}`);
  const take = (name: keyof DcapCollateral): Uint8Array => {
    const text = wire[name];
    if (text === undefined)
      throw new PpmlError("attest.invalid", `the collateral lacks its member ${name}`);
    try {
      return fromBase64Url(text);
    } catch (cause) {
      throw new PpmlError("attest.invalid", `expected base64url in ${name}`, { cause });
    }
  };
  return checkedCollateral({
    pckCrlIssuerChain: take("pckCrlIssuerChain"),
    rootCaCrl: take("rootCaCrl"),
    pckCrl: take("pckCrl"),
    tcbInfoIssuerChain: take("tcbInfoIssuerChain"),
    tcbInfo: take("tcbInfo"),
    tcbInfoSignature: take("tcbInfoSignature"),
    qeIdentityIssuerChain: take("qeIdentityIssuerChain"),
    qeIdentity: take("qeIdentity"),
    qeIdentitySignature: take("qeIdentitySignature"),
    pckCertificateChain:
      wire["pckCertificateChain"] === undefined ? null : take("pckCertificateChain"),
  });
}

/** Writes collateral for the wire. The inverse of `parseDcapWireCollateral`. */
export function encodeDcapWireCollateral(collateral: DcapCollateral): Record<string, string> {
  const wire: Record<string, string> = {};
  for (const name of DCAP_COLLATERAL_MEMBERS) {
    const bytes = collateral[name];
    if (bytes !== null) wire[name] = toBase64Url(bytes);
  }
  return wire;
}

/**
 * Gives the collateral back where every member is inside its bound.
 * @throws attest.invalid
 */
export function checkedCollateral(collateral: DcapCollateral): DcapCollateral {
  for (const name of DCAP_COLLATERAL_MEMBERS) {
    const length = collateral[name]?.byteLength ?? 0;
    if (length > MAX_BYTES[name])
      throw new PpmlError(
        "attest.invalid",
        `expected at most ${MAX_BYTES[name]} bytes of ${name} in the collateral, got ${length}`,
      );
  }
  return collateral;
}

function decodeHex(text: string, name: string): Uint8Array {
  try {
    return fromHex(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", `expected hex in ${name} of the collateral`, { cause });
  }
}
