import { concatBytes, PpmlError, toHex, utf8 } from "../../base/index.ts";

/**
 * The two messages of Gramine's secret provisioning, both with the NUL that ends a text of C.
 * @see gramine tools/sgx/ra-tls/secret_prov_common.h; docs/protocol.md section "Secret provisioning"
 */
const REQUEST = utf8("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
const RESPONSE = utf8("SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0");

/** Clients of Gramine take no longer one where it goes into their environment (PATH_MAX). */
export const MAX_SECRET_BYTES = 4096;

/**
 * Looks at what a client sent so far: true where it is the whole request, false where more has to
 * come. Refuses at the first byte that is another's, and anything behind the request.
 * @throws broker.invalid_request
 */
export function isWholeRequest(received: Uint8Array): boolean {
  const length = Math.min(received.byteLength, REQUEST.byteLength);
  const same = Buffer.compare(received.subarray(0, length), REQUEST.subarray(0, length)) === 0;
  if (!same || received.byteLength > REQUEST.byteLength)
    throw new PpmlError(
      "broker.invalid_request",
      "expected a request of Gramine's secret provisioning, version 1",
    );
  return received.byteLength === REQUEST.byteLength;
}

/**
 * The response with a secret of 1 to 4096 bytes: its length is a u32, most significant byte first.
 * (The header's comment says 8 bytes; Gramine's code, version 1.9, sends and reads 4.)
 * @throws broker.invalid_request
 */
export function encodeSecretResponse(secret: Uint8Array): Uint8Array {
  if (secret.byteLength === 0 || secret.byteLength > MAX_SECRET_BYTES)
    throw new PpmlError(
      "broker.invalid_request",
      `expected a secret of 1 to ${MAX_SECRET_BYTES} bytes, got ${secret.byteLength}`,
    );
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, secret.byteLength);
  return concatBytes(RESPONSE, length, secret);
}

/**
 * A key of 16 bytes as Gramine's clients read one into /dev/attestation/keys/NAME: 32 hex digits and
 * a NUL.
 * @throws broker.invalid_request
 * @see gramine tools/sgx/ra-tls/secret_prov_attest.c, SECRET_PROVISION_SET_KEY
 */
export function encodeGramineKey(key: Uint8Array): Uint8Array {
  if (key.byteLength !== 16)
    throw new PpmlError(
      "broker.invalid_request",
      `expected a key of 16 bytes for Gramine's encrypted files, got ${key.byteLength}`,
    );
  return utf8(`${toHex(key)}\0`);
}
