import type { ErrorCode } from "../base/index.ts";

/** HTTP statuses of refusals; a code that is not here is the broker's own failure. */
type RefusalStatus = 400 | 403 | 404 | 409 | 413 | 503;

const STATUSES: Partial<Record<ErrorCode, RefusalStatus>> = {
  "base.invalid_encoding": 400,
  "broker.invalid_request": 400,
  "format.invalid": 400,
  "format.unsupported": 400,
  "format.too_large": 413,
  "format.signature": 403,
  "format.expired": 403,
  "attest.collateral": 403,
  "attest.denied": 403,
  "attest.fetch": 503,
  "attest.invalid": 403,
  "attest.not_verified": 403,
  "attest.revoked": 403,
  "attest.simulated": 403,
  "attest.unsupported": 403,
  "release.binding": 403,
  "release.denied": 403,
  "release.job": 403,
  "release.not_granted": 403,
  "release.owner": 403,
  "release.policy": 404,
  "release.nonce": 409,
  "key.destroyed": 403,
  "key.disabled": 403,
  "key.not_found": 404,
  "key.not_permitted": 403,
  "key.unwrap_failed": 403,
  "open.not_authentic": 403,
  "receipt.invalid": 403,
  "receipt.log": 404,
  "broker.floor": 409,
  "broker.resource": 409,
  "broker.session": 403,
  "broker.busy": 503,
};

/** The status of an error code; null where it is the broker's own failure, which is a bare 500. */
export function statusOf(code: ErrorCode): RefusalStatus | null {
  return STATUSES[code] ?? null;
}
