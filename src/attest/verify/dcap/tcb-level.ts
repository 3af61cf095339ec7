import { equalPublicBytes, PpmlError, toHex } from "../../../base/index.ts";
import type { TcbInfo, TcbLevel } from "../../collateral/tcb-info.ts";
import type { PckPlatform } from "../../x509/sgx-extension.ts";

/**
 * Refuses TCB info of other platforms or of the other kind of TEE.
 * @throws attest.collateral
 * @see Intel SGX and TDX PCS API v4, TCB Info V3, "fmspc", "pceId"
 */
export function requireTcbInfoOf(
  info: TcbInfo,
  options: { readonly tee: "sgx" | "tdx"; readonly platform: PckPlatform },
): void {
  const { tee, platform } = options;
  if (info.id !== tee.toUpperCase())
    throw new PpmlError(
      "attest.collateral",
      `expected TCB info of ${tee.toUpperCase()}, got of ${info.id}: fetch it for the quote's kind`,
    );
  if (!equalPublicBytes(info.fmspc, platform.fmspc))
    throw new PpmlError(
      "attest.collateral",
      `expected TCB info of FMSPC ${toHex(platform.fmspc)}, got of ${toHex(info.fmspc)}: fetch it for this platform`,
    );
  if (!equalPublicBytes(info.pceId, platform.pceId))
    throw new PpmlError(
      "attest.collateral",
      `expected TCB info of PCE ${toHex(platform.pceId)}, got of ${toHex(info.pceId)}: fetch it for this platform`,
    );
}

/**
 * The first level, highest first, all of whose SVNs the platform reaches. For a TD also the TDX
 * components, of which the first two are left to the module's identity where the TD's module has a
 * major version.
 * @throws attest.not_verified where none is reached
 * @see Intel SGX and TDX PCS API v4, TCB Info V3, "TCB status determination"
 */
export function findTcbLevel(
  info: TcbInfo,
  options: {
    readonly platform: PckPlatform;
    /** 16 bytes; null for an enclave. */
    readonly teeTcbSvn: Uint8Array | null;
  },
): TcbLevel {
  const { platform, teeTcbSvn } = options;
  for (const level of info.tcbLevels) {
    const { sgxtcbcomponents, pcesvn, tdxtcbcomponents } = level.tcb;
    if (teeTcbSvn !== null && tdxtcbcomponents === undefined)
      throw new PpmlError("attest.invalid", "a level of the TDX TCB info has no TDX components");
    if (
      reaches(platform.tcbComponents, sgxtcbcomponents, 0) &&
      platform.pceSvn >= pcesvn &&
      (teeTcbSvn === null ||
        reaches(teeTcbSvn, tdxtcbcomponents ?? [], moduleVersionOf(teeTcbSvn) > 0 ? 2 : 0))
    )
      return level;
  }
  throw new PpmlError(
    "attest.not_verified",
    "the platform's TCB is below every level that Intel lists: update its firmware and microcode, then certify it again",
  );
}

/** Major version of the TDX module in TEE_TCB_SVN. */
export function moduleVersionOf(teeTcbSvn: Uint8Array): number {
  return teeTcbSvn[1] ?? 0;
}

function reaches(
  actual: readonly number[] | Uint8Array,
  needed: readonly number[],
  from: number,
): boolean {
  for (let index = from; index < needed.length; index += 1)
    if (!((actual[index] ?? -1) >= (needed[index] ?? Number.POSITIVE_INFINITY))) return false;
  return true;
}
