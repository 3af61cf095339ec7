import { encodeDcapQuote, encodeSignedBytes } from "../../../src/attest/evidence/dcap-quote.ts";
import { createRaTlsIdentity } from "../../../src/attest/collect/ra-tls-certificate.ts";
import type { RaTlsIdentity } from "../../../src/attest/collect/ra-tls-certificate.ts";
import { NOW_MS, YEAR_MS } from "../fixture.ts";
import { noiseQuote } from "./quote-fixture.ts";

/** A quote over given report data whose signatures are noise: for what looks at bindings alone. */
export function quoteOver(reportData: Uint8Array, tee: "sgx" | "tdx" = "sgx"): Uint8Array {
  const { header, signature, ...quote } = noiseQuote(tee === "sgx" ? [3, "sgx"] : [4, "td10"]);
  const parts =
    quote.tee === "sgx"
      ? { tee: quote.tee, header, body: { ...quote.body, reportData } }
      : { tee: quote.tee, header, body: { ...quote.body, reportData } };
  return encodeDcapQuote({ header, signedBytes: encodeSignedBytes(parts), signature });
}

/** An RA-TLS key and certificate over a quote that nobody signed. */
export function raTlsIdentity(
  options: {
    readonly tee?: "sgx" | "tdx";
    readonly nonce?: Uint8Array;
    readonly legacy?: boolean;
    readonly quoteOf?: (reportData: Uint8Array) => Promise<Uint8Array>;
  } = {},
): Promise<RaTlsIdentity> {
  const { tee = "sgx", nonce = null, legacy = false } = options;
  return createRaTlsIdentity({
    quoteOf: options.quoteOf ?? (async (reportData) => quoteOver(reportData, tee)),
    nonce,
    legacy,
    notBeforeMs: NOW_MS - YEAR_MS,
    notAfterMs: NOW_MS + YEAR_MS,
  });
}
