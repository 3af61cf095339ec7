import { concatBytes, fromUtf8, PpmlError, toHex, utf8 } from "../../src/base/index.ts";
import {
  DCAP_COLLATERAL_MEMBERS,
  encodeQuoteCollateralV3,
  parseQuoteCollateralV3,
} from "../../src/attest/collateral/dcap-collateral.ts";
import type { DcapCollateral } from "../../src/attest/collateral/dcap-collateral.ts";
import { parseQeIdentity } from "../../src/attest/collateral/qe-identity.ts";
import { parseTcbInfo } from "../../src/attest/collateral/tcb-info.ts";
import { encodeSignedBytes, parseDcapQuote } from "../../src/attest/evidence/dcap-quote.ts";
import { createDcapCache } from "../../src/attest/verify/dcap/cache.ts";
import { parseCertificate } from "../../src/attest/x509/certificate.ts";
import { parseCrl } from "../../src/attest/x509/crl.ts";
import { parsePemChain } from "../../src/attest/x509/pem.ts";
import { parsePckPlatform } from "../../src/attest/x509/sgx-extension.ts";
import { KINDS, makeCase, pki, verifyCase } from "../../test/attest/dcap-fixture.ts";
import type { DcapCase } from "../../test/attest/dcap-fixture.ts";
import { parses } from "./target.ts";
import type { FuzzTarget } from "./target.ts";

const cases = (): readonly DcapCase[] => KINDS.map((kind) => makeCase(kind));
const members = (name: Exclude<keyof DcapCollateral, "pckCertificateChain">) => () =>
  cases().map(({ collateral }) => collateral[name]);

/** DCAP: quotes, collateral, CRLs, PCK certificates, and the whole verification of a simulation's. */
export const DCAP_TARGETS: readonly FuzzTarget[] = [
  parses(
    "dcap-quote",
    () => cases().map(({ quote }) => quote),
    (input) => {
      const quote = parseDcapQuote(input);
      const again = toHex(encodeSignedBytes(quote));
      if (again !== toHex(quote.signedBytes)) throw new Error("encodes to other bytes");
      return quote.tee;
    },
  ),
  parses("tcb-info", members("tcbInfo"), (input) => parseTcbInfo(input).tcbLevels.length),
  parses("qe-identity", members("qeIdentity"), (input) => parseQeIdentity(input).id),
  parses("crl", members("pckCrl"), (input) => parseCrl(input).revoked.byteLength),
  parses("pem-chain", members("tcbInfoIssuerChain"), (input) => parsePemChain(input).length),
  parses(
    "pck-certificate",
    () => [pki.certificates.pck],
    (input) => parsePckPlatform(parseCertificate(input)).pceSvn,
  ),
  parses(
    "quote-collateral-v3",
    () =>
      cases().map(({ collateral }) => utf8(JSON.stringify(encodeQuoteCollateralV3(collateral)))),
    (input) => parseQuoteCollateralV3(json(input)).tcbInfo.byteLength,
  ),
  {
    name: "dcap-evidence",
    // u32be length before each part: the quote, then the members of the collateral in their order.
    prepare: () => {
      const cache = createDcapCache({ maxCollateral: 8, maxPlatforms: 8 });
      return Promise.resolve({
        seeds: cases().map(framed),
        promise: "authentic",
        run: (input) => {
          const { quote, verification } = verifyCase({ ...unframed(input), cache });
          return [quote.signedBytes, verification.fmspc, verification.pck.ppid];
        },
      });
    },
  },
];

function json(input: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(input));
  } catch (cause) {
    throw new PpmlError("attest.invalid", "not JSON", { cause });
  }
}

function framed({ quote, collateral }: DcapCase): Uint8Array {
  const parts = [quote, ...DCAP_COLLATERAL_MEMBERS.map((name) => collateral[name])];
  return concatBytes(
    ...parts.flatMap((part) => {
      const bytes = part ?? new Uint8Array();
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, bytes.byteLength);
      return [length, bytes];
    }),
  );
}

function unframed(input: Uint8Array): DcapCase {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let offset = 0;
  const take = (): Uint8Array => {
    if (input.byteLength - offset < 4) throw new PpmlError("attest.invalid", "a part is missing");
    const start = offset + 4;
    offset = start + view.getUint32(offset);
    return input.subarray(start, offset);
  };
  const quote = take();
  const collateral: Record<string, Uint8Array | null> = {};
  for (const name of DCAP_COLLATERAL_MEMBERS) collateral[name] = take();
  collateral["pckCertificateChain"] = null;
  return { pki, quote, collateral: collateral as DcapCollateral };
}
