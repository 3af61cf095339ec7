import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TCB_STATUSES } from "../../../../src/attest/collateral/tcb-status.ts";
import { simTcbLevel } from "../../../../src/attest/sim/dcap-collateral.ts";
import { converge } from "../../../../src/attest/verify/dcap/converge.ts";
import { adviseRelaunch } from "../../../../src/attest/verify/dcap/relaunch.ts";
import { simTdReport } from "../../../../src/attest/sim/dcap-quote.ts";
import type { TdReport } from "../../../../src/attest/evidence/td-report.ts";
import { KINDS, makeCase, pki, reportData, verifyCase } from "../../dcap-fixture.ts";
import type { Kind } from "../../dcap-fixture.ts";

const statusOf = (...args: Parameters<typeof makeCase>) =>
  verifyCase(makeCase(...args)).verification;
const levels = (tee: "sgx" | "tdx", ...list: readonly (readonly [number, string, string?])[]) => ({
  tcbInfo: {
    tcbLevels: list.map(([lower, tcbStatus, advisory]) =>
      simTcbLevel(pki, {
        tee,
        lower,
        tcbStatus,
        ...(advisory === undefined ? {} : { advisoryIDs: [advisory] }),
      }),
    ),
  },
});
const tee = (kind: Kind): "sgx" | "tdx" => (kind.startsWith("sgx") ? "sgx" : "tdx");

const svn = (start: readonly number[]) => Uint8Array.of(...start, 3, ...new Uint8Array(13));

/** A TD 1.5 report with other TEE_TCB_SVNs: module SVN and module version. */
function td15(
  launch: readonly number[],
  current: readonly number[],
  changes: Partial<TdReport> = {},
) {
  const body = simTdReport("td15", {
    mrTd: new Uint8Array(48),
    reportData,
    teeTcbSvn: svn(launch),
    td15: { teeTcbSvn2: svn(current), mrServiceTd: new Uint8Array(48) },
    ...changes,
  });
  return { body: { tee: "tdx", version: 5, body } as const };
}
const KIND15: Kind = "tdx v5, TD 1.5";

for (const kind of KINDS)
  describe(`the TCB of ${kind}`, () => {
    test("is the first level that the platform reaches, whatever order the JSON has", () => {
      const list = [
        [2, "Revoked"],
        [1, "OutOfDate", "SA-1"],
        [0, "SWHardeningNeeded", "SA-0"],
      ] as const;
      for (const order of [list, list.toReversed()]) {
        const found = statusOf(kind, { collateral: levels(tee(kind), ...order) });
        assert.equal(found.tcbStatus, "SWHardeningNeeded");
        assert.deepEqual(found.advisoryIds, ["SA-0"]);
        assert.equal(found.platform.tcbDateMs, Date.UTC(2026, 2, 11));
      }
    });

    test("is out of date where only an older level is reached", () => {
      const list = levels(tee(kind), [-1, "UpToDate"], [1, "OutOfDate", "SA-1"]);
      const found = statusOf(kind, { collateral: list });
      assert.equal(found.tcbStatus, "OutOfDate");
      assert.deepEqual(found.advisoryIds, ["SA-1"]);
      assert.equal(found.platform.tcbDateMs, Date.UTC(2024, 2, 13));
    });

    test("is refused where no level is reached, and where it was revoked", () => {
      assert.throws(() => statusOf(kind, { collateral: levels(tee(kind), [-1, "UpToDate"]) }), {
        code: "attest.not_verified",
        message: /below every level/,
      });
      assert.throws(() => statusOf(kind, { collateral: levels(tee(kind), [0, "Revoked"]) }), {
        code: "attest.revoked",
      });
    });

    test("is not looked up in TCB info of another FMSPC, PCE or kind of TEE", () => {
      const collateral = "attest.collateral";
      const other = tee(kind) === "sgx" ? "tdx" : "sgx";
      const otherKind = { ...levels(other, [0, "UpToDate"]).tcbInfo, id: other.toUpperCase() };
      for (const [tcbInfo, message] of [
        [{ fmspc: "00906ED50000" }, /TCB info of FMSPC 50504d4c5349, got of 00906ed50000/],
        [{ pceId: "0001" }, /TCB info of PCE/],
        [otherKind, /expected TCB info of/],
      ] as const)
        assert.throws(() => statusOf(kind, { collateral: { tcbInfo } }), {
          code: collateral,
          message,
        });
    });

    test("compares FMSPCs as bytes: the case of their hex does not matter", () => {
      const found = statusOf(kind, { collateral: { tcbInfo: { fmspc: "50504d4c5349" } } });
      assert.equal(found.tcbStatus, "UpToDate");
    });

    test("includes the Quoting Enclave's level and advisories", () => {
      const found = statusOf(kind, { quote: { qeReport: { isvSvn: 6 } } });
      assert.equal(found.tcbStatus, "OutOfDate");
      assert.equal(found.platform.status, "UpToDate");
      assert.equal(found.qe.status, "OutOfDate");
      assert.deepEqual(found.advisoryIds, ["PPML-SIM-00002"]);
      assert.throws(() => statusOf(kind, { quote: { qeReport: { isvSvn: 5 } } }), {
        code: "attest.not_verified",
        message: /ISVSVN 5 is below/,
      });
      const revoked = {
        qeIdentity: {
          tcbLevels: [
            { tcb: { isvsvn: 1 }, tcbDate: "2020-01-01T00:00:00Z", tcbStatus: "Revoked" },
          ],
        },
      };
      assert.throws(() => statusOf(kind, { collateral: revoked }), { code: "attest.revoked" });
    });

    test("is not taken from a statement that is out of date or of the future, either of them", () => {
      for (const statement of ["tcbInfo", "qeIdentity"] as const)
        for (const dates of [
          { nextUpdate: "2026-11-24T11:59:59Z" },
          { issueDate: "2026-11-24T12:00:01Z" },
        ])
          assert.throws(() => statusOf(kind, { collateral: { [statement]: dates } }), {
            code: "attest.collateral",
            message: /due for an update at/,
          });
    });

    test("has the lower one of both evaluation data numbers", () => {
      const found = statusOf(kind, { collateral: { qeIdentity: { tcbEvaluationDataNumber: 17 } } });
      assert.equal(found.tcbEvaluationDataNumber, 17);
    });

    test("is refused with a QE identity of the other kind of TEE", () => {
      const id = tee(kind) === "sgx" ? "TD_QE" : "QE";
      assert.throws(() => statusOf(kind, { collateral: { qeIdentity: { id } } }), {
        code: "attest.collateral",
        message: /expected the QE identity/,
      });
    });
  });

const tdxLevels = (component: number) => {
  const [level] = levels("tdx", [0, "UpToDate"]).tcbInfo.tcbLevels;
  const { sgxtcbcomponents, pcesvn } = (level?.["tcb"] ?? {}) as Record<string, unknown>;
  const tdxtcbcomponents = [component, 0, 3, ...Array<number>(13).fill(0)].map((value) => ({
    svn: value,
  }));
  return {
    tcbInfo: { tcbLevels: [{ ...level, tcb: { sgxtcbcomponents, pcesvn, tdxtcbcomponents } }] },
  };
};

describe("the TDX module", () => {
  test("of a TD that was launched with an older one and runs on a good one asks for a relaunch", () => {
    const found = statusOf(KIND15, td15([3, 3], [5, 3]));
    assert.equal(found.tcbStatus, "TDRelaunchAdvised");
    assert.equal(found.platform.status, "OutOfDate");
    assert.equal(found.currentPlatform?.status, "UpToDate");
    assert.equal(found.platform.tcbDateMs, Date.UTC(2024, 2, 13));
    const configuration = statusOf(KIND15, {
      ...td15([3, 3], [5, 3]),
      collateral: levels("tdx", [0, "ConfigurationNeeded"]),
    });
    assert.equal(configuration.tcbStatus, "TDRelaunchAdvisedConfigurationNeeded");
  });

  test("that is out of date now as well asks for nothing else", () => {
    assert.equal(statusOf(KIND15, td15([3, 3], [3, 3])).tcbStatus, "OutOfDate");
  });

  test("that was updated to an older one does not make the launch worse", () => {
    const found = statusOf(KIND15, td15([5, 3], [3, 3]));
    assert.equal(found.tcbStatus, "UpToDate");
    assert.equal(found.currentPlatform?.status, "OutOfDate");
  });

  test("is refused below all levels, unknown, or revoked: at launch and now", () => {
    for (const wrong of [td15([2, 3], [5, 3]), td15([5, 3], [2, 3])])
      assert.throws(() => statusOf(KIND15, wrong), {
        code: "attest.not_verified",
        message: /TDX module's ISVSVN 2 is below/,
      });
    for (const wrong of [td15([5, 4], [5, 3]), td15([5, 3], [5, 4])])
      assert.throws(() => statusOf(KIND15, wrong), {
        code: "attest.collateral",
        message: /does not know the TDX module TDX_04/,
      });
    const revoked = {
      tcbInfo: {
        tdxModuleIdentities: [
          {
            id: "tdx_03",
            mrsigner: "00".repeat(48),
            attributes: "00".repeat(8),
            attributesMask: "FF".repeat(8),
            tcbLevels: [
              { tcb: { isvsvn: 5 }, tcbDate: "2026-03-11T00:00:00Z", tcbStatus: "UpToDate" },
              { tcb: { isvsvn: 3 }, tcbDate: "2024-03-13T00:00:00Z", tcbStatus: "Revoked" },
            ],
          },
        ],
      },
    };
    for (const wrong of [td15([3, 3], [5, 3]), td15([5, 3], [3, 3])])
      assert.throws(() => statusOf(KIND15, { ...wrong, collateral: revoked }), {
        code: "attest.revoked",
      });
  });

  test("without a major version is judged by the TDX components alone", () => {
    const body = td15([4, 0], [4, 0]);
    assert.equal(statusOf(KIND15, { ...body, collateral: tdxLevels(4) }).tcbStatus, "UpToDate");
    assert.throws(() => statusOf(KIND15, { ...body, collateral: tdxLevels(5) }), {
      message: /below every level/,
    });
  });

  test("of another signer, or with attributes outside the mask, is refused", () => {
    const mrSignerSeam = new Uint8Array(48).fill(1);
    assert.throws(() => statusOf(KIND15, td15([5, 3], [5, 3], { mrSignerSeam })), {
      code: "attest.not_verified",
      message: /TDX module signed by/,
    });
    const seamAttributes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);
    assert.throws(() => statusOf(KIND15, td15([5, 3], [5, 3], { seamAttributes })), {
      code: "attest.not_verified",
      message: /SEAMATTRIBUTES/,
    });
    // Where the mask leaves the bit out, its value is not compared, but it may not be set.
    const narrow = {
      tcbInfo: {
        tdxModuleIdentities: [
          {
            id: "TDX_03",
            mrsigner: "00".repeat(48),
            attributes: "00".repeat(8),
            attributesMask: "FFFFFFFFFFFFFF00",
            tcbLevels: [
              { tcb: { isvsvn: 5 }, tcbDate: "2026-03-11T00:00:00Z", tcbStatus: "UpToDate" },
            ],
          },
        ],
      },
    };
    assert.equal(
      statusOf(KIND15, { ...td15([5, 3], [5, 3]), collateral: narrow }).tcbStatus,
      "UpToDate",
    );
    const outside = { ...td15([5, 3], [5, 3], { seamAttributes }), collateral: narrow };
    assert.throws(() => statusOf(KIND15, outside), { message: /SEAMATTRIBUTES/ });
  });

  test("has to be described: TCB info without tdxModule or TDX components is refused", () => {
    assert.throws(() => statusOf("tdx v4", { collateral: { tcbInfo: { tdxModule: undefined } } }), {
      code: "attest.collateral",
    });
    const sgxLevels = levels("sgx", [0, "UpToDate"]);
    assert.throws(() => statusOf("tdx v4", { collateral: sgxLevels }), { code: "attest.invalid" });
  });
});

test("statuses converge as Intel's library does: out of date and revoked components count", () => {
  const outOfDate: Partial<Record<string, string>> = {
    UpToDate: "OutOfDate",
    SWHardeningNeeded: "OutOfDate",
    ConfigurationNeeded: "OutOfDateConfigurationNeeded",
    ConfigurationAndSWHardeningNeeded: "OutOfDateConfigurationNeeded",
  };
  for (const platform of TCB_STATUSES) {
    assert.equal(converge(platform, "Revoked"), "Revoked");
    assert.equal(converge(platform, "OutOfDate"), outOfDate[platform] ?? platform);
    for (const component of ["UpToDate", "ConfigurationNeeded", "SWHardeningNeeded"] as const)
      assert.equal(converge(platform, component), platform);
  }
});

test("a relaunch is advised only from out of date to not out of date", () => {
  for (const launch of TCB_STATUSES)
    for (const current of TCB_STATUSES) {
      const advised = adviseRelaunch(launch, current);
      const old = launch.startsWith("OutOfDate");
      const good = !current.startsWith("OutOfDate") && current !== "Revoked";
      assert.equal(advised.startsWith("TDRelaunch") && advised !== launch, old && good);
      if (!(old && good)) assert.equal(advised, launch);
    }
});
