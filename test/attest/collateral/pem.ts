import { toBase64 } from "../../../src/base/index.ts";

/** PEM of DER bytes, in lines of 64 characters. */
export function pem(der: Uint8Array, label = "CERTIFICATE"): string {
  const lines = toBase64(der).replaceAll(/.{1,64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}
