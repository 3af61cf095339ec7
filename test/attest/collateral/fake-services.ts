import { Hono } from "hono";
import type { DcapCollateral } from "../../../src/attest/collateral/dcap-collateral.ts";
import { extension } from "../../../src/attest/x509/issue-certificate.ts";
import {
  der,
  derBitString,
  derInteger,
  derOid,
  derSequence,
  derText,
  derTime,
} from "../../../src/attest/der/write.ts";
import { ECDSA_P384_SHA384 } from "../../../src/attest/x509/chain.ts";
import { fromUtf8, toHex, toTimestamp, utf8 } from "../../../src/base/index.ts";
import { NOW_MS, pki, YEAR_MS } from "../fixture.ts";
import { pem } from "./pem.ts";

const DAY_MS = 86_400_000;

export const FMSPC = Uint8Array.of(0xb0, 0xc0, 0x6f, 0, 0, 0);

/** A CRL that revokes nothing, signed by nobody: for clients, which look at its form alone. */
export function crlOf(nextUpdateMs: number): Uint8Array {
  const name = derSequence(der(0x31, derSequence(derOid("2.5.4.3"), derText(0x0c, "Test PCK CA"))));
  const number = extension("2.5.29.20", { critical: false, value: derInteger(Uint8Array.of(1)) });
  const keyId = derSequence(der(0x80, new Uint8Array(20)));
  const authority = extension("2.5.29.35", { critical: false, value: keyId });
  const tbs = derSequence(
    derInteger(Uint8Array.of(1)),
    ECDSA_P384_SHA384.identifier,
    name,
    derTime(NOW_MS - DAY_MS),
    derTime(nextUpdateMs),
    der(0xa0, derSequence(authority, number)),
  );
  return derSequence(tbs, ECDSA_P384_SHA384.identifier, derBitString(new Uint8Array(64)));
}

const components = JSON.stringify(Array.from({ length: 16 }, () => ({ svn: 2 })));

/** TCB info as Intel writes it, signed by nobody. */
export function tcbInfoJson(tee: "sgx" | "tdx", nextUpdateMs = NOW_MS + 30 * DAY_MS): string {
  return `{"id":"${tee.toUpperCase()}","version":3,"issueDate":"${toTimestamp(NOW_MS - DAY_MS)}","nextUpdate":"${toTimestamp(nextUpdateMs)}","fmspc":"B0C06F000000","pceId":"0000","tcbType":0,"tcbEvaluationDataNumber":17,"tcbLevels":[{"tcb":{"sgxtcbcomponents":${components},"pcesvn":13${tee === "tdx" ? `,"tdxtcbcomponents":${components}` : ""}},"tcbDate":"2024-03-13T00:00:00Z","tcbStatus":"UpToDate"}]}`;
}

export function qeIdentityJson(tee: "sgx" | "tdx", nextUpdateMs = NOW_MS + 20 * DAY_MS): string {
  return `{"id":"${tee === "sgx" ? "QE" : "TD_QE"}","version":2,"issueDate":"${toTimestamp(NOW_MS - DAY_MS)}","nextUpdate":"${toTimestamp(nextUpdateMs)}","tcbEvaluationDataNumber":17,"miscselect":"00000000","miscselectMask":"FFFFFFFF","attributes":"11000000000000000000000000000000","attributesMask":"FBFFFFFFFFFFFFFF0000000000000000","mrsigner":"${"8C".repeat(32)}","isvprodid":1,"tcbLevels":[{"tcb":{"isvsvn":8},"tcbDate":"2024-03-13T00:00:00Z","tcbStatus":"UpToDate"}]}`;
}

/** Collateral of the right forms. */
export function sampleCollateral(tee: "sgx" | "tdx"): DcapCollateral {
  const chain = utf8(pem(pki.ask) + pem(pki.ark));
  return {
    pckCrlIssuerChain: chain,
    rootCaCrl: crlOf(NOW_MS + YEAR_MS),
    pckCrl: crlOf(NOW_MS + 29 * DAY_MS),
    tcbInfoIssuerChain: chain,
    tcbInfo: utf8(tcbInfoJson(tee)),
    tcbInfoSignature: new Uint8Array(64).fill(1),
    qeIdentityIssuerChain: chain,
    qeIdentity: utf8(qeIdentityJson(tee)),
    qeIdentitySignature: new Uint8Array(64).fill(2),
    pckCertificateChain: null,
  };
}

/** A service of Intel's API that gives `collateral`; CRLs in one of the encodings that services use. */
export function fakePcs(collateral: DcapCollateral, encoding: "der" | "hex" | "pem" = "der"): Hono {
  const crl = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
    if (encoding === "der") return Uint8Array.from(bytes);
    return Uint8Array.from(utf8(encoding === "hex" ? toHex(bytes) : pem(bytes, "X509 CRL")));
  };
  return new Hono()
    .get("/:tee{sgx|tdx}/certification/v4/tcb", (c) =>
      c.text(signed("tcbInfo", collateral.tcbInfo, collateral.tcbInfoSignature), 200, {
        "TCB-Info-Issuer-Chain": header(collateral.tcbInfoIssuerChain),
      }),
    )
    .get("/:tee{sgx|tdx}/certification/v4/qe/identity", (c) =>
      c.text(
        signed("enclaveIdentity", collateral.qeIdentity, collateral.qeIdentitySignature),
        200,
        {
          "SGX-Enclave-Identity-Issuer-Chain": header(collateral.qeIdentityIssuerChain),
        },
      ),
    )
    .get("/sgx/certification/v4/pckcrl", (c) =>
      c.body(crl(collateral.pckCrl), 200, {
        "SGX-PCK-CRL-Issuer-Chain": header(collateral.pckCrlIssuerChain),
      }),
    )
    .get("/sgx/certification/v4/rootcacrl", (c) => c.body(crl(collateral.rootCaCrl)))
    .get("/IntelSGXRootCA.der", (c) => c.body(crl(collateral.rootCaCrl)));
}

/** AMD's service with the certificates of a simulation in it. */
export function fakeKds(crl = crlOf(NOW_MS + 30 * DAY_MS)): Hono {
  return new Hono()
    .get("/:kind{vcek|vlek}/v1/:product/cert_chain", (c) => c.text(pem(pki.ask) + pem(pki.ark)))
    .get("/:kind{vcek|vlek}/v1/:product/crl", (c) => c.body(Uint8Array.from(crl)))
    .get("/vcek/v1/:product/:hwid", (c) => c.body(Uint8Array.from(pki.vcek)));
}

function header(chain: Uint8Array): string {
  return encodeURIComponent(fromUtf8(chain));
}

function signed(name: string, json: Uint8Array, signature: Uint8Array): string {
  return `{"${name}":${fromUtf8(json)},"signature":"${toHex(signature)}"}`;
}
