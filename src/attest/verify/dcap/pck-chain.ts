import type { KeyObject } from "node:crypto";
import { PpmlError } from "../../../base/index.ts";
import type { DcapCollateral } from "../../collateral/dcap-collateral.ts";
import { CERTIFICATION_DATA } from "../../evidence/dcap-signature.ts";
import type { CertificationData } from "../../evidence/dcap-signature.ts";
import { nameOf } from "../../x509/certificate.ts";
import type { Certificate } from "../../x509/certificate.ts";
import { ECDSA_P256_SHA256, verifyChainBelow } from "../../x509/chain.ts";
import type { TrustAnchor } from "../../x509/chain.ts";
import { checkNotRevoked, crlValidity, verifyCrl } from "../../x509/crl.ts";
import type { Crl } from "../../x509/crl.ts";
import { parsePckPlatform } from "../../x509/sgx-extension.ts";
import type { PckPlatform } from "../../x509/sgx-extension.ts";
import { parseIntelChain, validityOf } from "./intel-chain.ts";
import { intersect } from "./verification.ts";
import type { ValidityInterval } from "./verification.ts";

/** A platform's certification key, whose chain was checked up to the trust anchor. */
export type VerifiedPck = {
  readonly publicKey: KeyObject;
  readonly platform: PckPlatform;
  /** Of the PCK CRL; null where the root itself certified the PCK. */
  readonly pckCrl: ValidityInterval | null;
  /** The time in which its certificates and, where it was needed, the PCK CRL are good. */
  readonly validity: ValidityInterval;
};

/**
 * The PCK's chain in PEM: from the collateral where it has one, else from the quote.
 * @throws attest.unsupported where neither has it
 */
export function pckChainOf(
  certificationData: CertificationData,
  collateral: DcapCollateral,
): Uint8Array {
  if (collateral.pckCertificateChain !== null) return collateral.pckCertificateChain;
  if (certificationData.type !== CERTIFICATION_DATA.pckCertificateChain)
    throw new PpmlError(
      "attest.unsupported",
      `the quote names its PCK certificate by certification data of type ${certificationData.type}: send the chain as pckCertificateChain of the collateral`,
    );
  return certificationData.data;
}

/**
 * Verifies a PCK certificate's chain: root, at most one CA, PCK; each one checked against the CRL of
 * its issuer, which has to be there.
 * @throws attest.invalid, attest.not_verified, attest.collateral, attest.revoked
 * @see Intel SGX PCK Certificate and CRL Profile Specification rev. 1.5
 */
export function verifyPckChain(
  pem: Uint8Array,
  options: {
    readonly anchor: TrustAnchor;
    readonly nowMs: number;
    readonly rootCrl: Crl;
    /** Parsed; verified here with the CA's key. */
    readonly pckCrl: Crl;
  },
): VerifiedPck {
  const { nowMs, rootCrl, pckCrl } = options;
  const { leaf, below } = parseIntelChain(pem, {
    ...options,
    authorities: 1,
    what: "the PCK's certificate chain",
  });
  verifyChainBelow({ ...options, certificates: below, algorithm: ECDSA_P256_SHA256 });
  const [nearest = leaf] = below;
  checkNotRevoked(nearest, rootCrl);
  const crlNeeded = nearest !== leaf;
  if (crlNeeded) {
    verifyPckCrl(pckCrl, nearest, nowMs);
    checkNotRevoked(leaf, pckCrl);
  }
  return {
    publicKey: leaf.publicKey,
    platform: parsePckPlatform(leaf),
    pckCrl: crlNeeded ? crlValidity(pckCrl) : null,
    validity: intersect([...validityOf(below), ...(crlNeeded ? [crlValidity(pckCrl)] : [])]),
  };
}

function verifyPckCrl(crl: Crl, authority: Certificate, nowMs: number): void {
  // RFC 5280 6.3.3 (f): "verify that the cRLSign bit is set".
  if (authority.keyUsage?.cRLSign !== true)
    throw new PpmlError(
      "attest.not_verified",
      `the certificate ${nameOf(authority)} has no key usage cRLSign: it must not sign CRLs`,
    );
  verifyCrl(crl, {
    issuer: { name: authority.subject, key: authority.issuerKey },
    algorithm: ECDSA_P256_SHA256,
    nowMs,
    what: "the PCK CRL",
  });
}
