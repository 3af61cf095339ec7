import { equalPublicBytes, PpmlError, toHex } from "../../../base/index.ts";
import type { TcbInfo, TdxModule, TdxModuleIdentity } from "../../collateral/tcb-info.ts";
import { parseTdAttributes } from "../../evidence/td-attributes.ts";
import type { TdReport } from "../../evidence/td-report.ts";
import type { PckPlatform } from "../../x509/sgx-extension.ts";
import { converge, mergeAdvisories } from "./converge.ts";
import { findTcbLevel, moduleVersionOf } from "./tcb-level.ts";
import type { TcbFinding } from "./verification.ts";

/**
 * Checks the TDX module that launched a TD: its signer, and its attributes under the mask, outside of
 * which none may be set.
 * @throws attest.collateral, attest.not_verified
 * @see Intel SGX and TDX PCS API v4, TCB Info V3, "tdxModule", "tdxModuleIdentities"
 */
export function checkTdxModule(info: TcbInfo, report: TdReport): void {
  if (info.tdxModule === undefined)
    throw new PpmlError("attest.collateral", "the TDX TCB info does not describe a TDX module");
  const expected: TdxModule = moduleIdentityOf(info, report.teeTcbSvn) ?? info.tdxModule;
  if (!equalPublicBytes(report.mrSignerSeam, expected.mrsigner))
    throw new PpmlError(
      "attest.not_verified",
      `expected a TDX module signed by ${toHex(expected.mrsigner)}, got by ${toHex(report.mrSignerSeam)}`,
    );
  const { attributes, attributesMask } = expected;
  report.seamAttributes.forEach((actual, index) => {
    const mask = attributesMask[index] ?? 0;
    if ((actual & mask) !== ((attributes[index] ?? 0) & mask) || (actual & ~mask) !== 0)
      throw new PpmlError(
        "attest.not_verified",
        `expected SEAMATTRIBUTES ${toHex(attributes)} under the mask ${toHex(attributesMask)}, got ${toHex(report.seamAttributes)}`,
      );
  });
}

/**
 * Refuses a TD in whose ATTRIBUTES a bit is set that has no meaning yet: what it opens to the host no
 * claim of a policy could name.
 * @throws attest.not_verified
 * @see Intel TDX Module ABI Specification 348551-008US, table 3.23: "Reserved, must be 0"
 */
export function checkTdAttributes({ tdAttributes }: Pick<TdReport, "tdAttributes">): void {
  const { reserved } = parseTdAttributes(tdAttributes);
  if (reserved === 0n) return;
  throw new PpmlError(
    "attest.not_verified",
    `expected zero in the reserved bits of the TD's ATTRIBUTES, got 0x${reserved.toString(16)}: start the TD without them`,
  );
}

/**
 * The TCB of platform and TDX module for one TEE_TCB_SVN: the platform's level, converged with the
 * level of the module's identity where the module has a major version.
 * @throws attest.invalid, attest.not_verified, attest.collateral
 */
export function evaluateTdxTcb(
  info: TcbInfo,
  options: { readonly platform: PckPlatform; readonly teeTcbSvn: Uint8Array },
): TcbFinding {
  const { teeTcbSvn } = options;
  const level = findTcbLevel(info, options);
  const platform: TcbFinding = {
    status: level.tcbStatus,
    tcbDateMs: level.tcbDate,
    advisoryIds: level.advisoryIDs,
  };
  const identity = moduleIdentityOf(info, teeTcbSvn);
  if (identity === null) return platform;
  const [isvSvn = 0] = teeTcbSvn;
  const moduleLevel = identity.tcbLevels.find(({ tcb }) => isvSvn >= tcb.isvsvn);
  if (moduleLevel === undefined)
    throw new PpmlError(
      "attest.not_verified",
      `the TDX module's ISVSVN ${isvSvn} is below all that ${identity.id} lists: update the platform's TDX module`,
    );
  return {
    status: converge(platform.status, moduleLevel.tcbStatus),
    // The older one: a freshness rule is about the weakest part.
    tcbDateMs: Math.min(platform.tcbDateMs, moduleLevel.tcbDate),
    advisoryIds: mergeAdvisories(platform.advisoryIds, moduleLevel.advisoryIDs),
  };
}

/** The identity of the module's major version; null for version 0, which has none. */
function moduleIdentityOf(info: TcbInfo, teeTcbSvn: Uint8Array): TdxModuleIdentity | null {
  const version = moduleVersionOf(teeTcbSvn);
  if (version === 0) return null;
  const id = `TDX_${version.toString(16).padStart(2, "0").toUpperCase()}`;
  const identity = info.tdxModuleIdentities.find((known) => known.id.toUpperCase() === id);
  if (identity === undefined)
    throw new PpmlError(
      "attest.collateral",
      `the TCB info does not know the TDX module ${id}: fetch newer collateral`,
    );
  return identity;
}
