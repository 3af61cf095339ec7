import { PpmlError, utf8 } from "../../base/index.ts";
import { checkedCollateral } from "./dcap-collateral.ts";
import type { DcapCollateral } from "./dcap-collateral.ts";
import { decodeCrl, decodePercent, readSigned } from "./intel-pcs.ts";

/** Files of a folder by their names there, and what each is. */
const FILES: ReadonlyMap<string, string> = new Map([
  ["tcb_info.json", "tcbInfo"],
  ["qe_identity.json", "qeIdentity"],
  ...(["root_ca_crl", "pck_crl"] as const).flatMap((name) =>
    [".der", ".crl", ".pem"].map((ending) => [`${name}${ending}`, name] as const),
  ),
  ["tcb_info_issuer_chain.pem", "tcbInfoIssuerChain"],
  ["qe_identity_issuer_chain.pem", "qeIdentityIssuerChain"],
  ["pck_crl_issuer_chain.pem", "pckCrlIssuerChain"],
  ["pck_certificate_chain.pem", "pckCertificateChain"],
]);

/** Whether a folder with files of these names is meant as one of DCAP collateral in parts. */
export function isDcapFolder(names: readonly string[]): boolean {
  return names.includes("tcb_info.json");
}

/**
 * Collateral from the parts that Intel's service gives, by the names of QuoteCollateralV3:
 * `tcb_info.json` and `qe_identity.json` are the answers as they came, `*_issuer_chain.pem` the chains
 * from their headers (PEM, or percent-encoded as there), `root_ca_crl` and `pck_crl` (`.der`, `.crl`,
 * `.pem`) in DER, hex or PEM, and `pck_certificate_chain.pem` where the quote does not hold it.
 * Other names are refused: one that is mistyped would be missed.
 * @throws attest.collateral, attest.invalid
 * @see Intel SGX and TDX PCS API v4
 */
export function parseDcapFolder(files: ReadonlyMap<string, Uint8Array>): DcapCollateral {
  const parts = new Map<string, Uint8Array>();
  for (const [file, bytes] of files) {
    const name = FILES.get(file);
    if (name === undefined)
      throw failed(
        `${file} is not one of the files that are looked for: ${[...FILES.keys()].join(", ")}`,
      );
    if (parts.has(name)) throw failed(`there are two files of ${name}`);
    parts.set(name, bytes);
  }
  const take = (name: string): Uint8Array => {
    const bytes = parts.get(name);
    if (bytes !== undefined) return bytes;
    const file = [...FILES].find(([, part]) => part === name)?.[0] ?? name;
    throw failed(`it has DCAP collateral and lacks ${file}`);
  };
  const tcbInfo = readSigned(take("tcbInfo"), "tcbInfo");
  const qeIdentity = readSigned(take("qeIdentity"), "enclaveIdentity");
  return checkedCollateral({
    pckCrlIssuerChain: chain(take("pckCrlIssuerChain")),
    rootCaCrl: decodeCrl(take("root_ca_crl")),
    pckCrl: decodeCrl(take("pck_crl")),
    tcbInfoIssuerChain: chain(take("tcbInfoIssuerChain")),
    tcbInfo: tcbInfo.json,
    tcbInfoSignature: tcbInfo.signature,
    qeIdentityIssuerChain: chain(take("qeIdentityIssuerChain")),
    qeIdentity: qeIdentity.json,
    qeIdentitySignature: qeIdentity.signature,
    pckCertificateChain: parts.has("pckCertificateChain")
      ? chain(take("pckCertificateChain"))
      : null,
  });
}

/** A chain as it stands in Intel's header, or as PEM. */
function chain(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString("latin1");
  return text.startsWith("-----BEGIN%20") ? utf8(decodePercent(text.trim())) : bytes;
}

function failed(what: string): PpmlError {
  return new PpmlError("attest.collateral", what);
}
