import { toBase64 } from "../../base/index.ts";

/** Certificates in PEM, in the order given. */
export function encodePem(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map((bytes) => {
      const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
      return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
    })
    .join("");
}
