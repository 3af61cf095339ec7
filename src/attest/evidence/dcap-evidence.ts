import type { DcapVerification } from "../verify/dcap/verification.ts";
import type { SgxQuote, TdxQuote } from "./dcap-quote.ts";

/** Evidence of an SGX enclave: its quote, and what the verification found. */
export type SgxEvidence = {
  readonly type: "sgx";
  readonly quote: SgxQuote;
  readonly verification: DcapVerification;
};

/** Evidence of a trust domain: its quote, and what the verification found. */
export type TdxEvidence = {
  readonly type: "tdx";
  readonly quote: TdxQuote;
  readonly verification: DcapVerification;
};

/** A quote of SGX under a simulation root. */
export type SimSgxEvidence = Omit<SgxEvidence, "type"> & { readonly type: "sim-sgx" };

/** A quote of TDX under a simulation root. */
export type SimTdxEvidence = Omit<TdxEvidence, "type"> & { readonly type: "sim-tdx" };
