import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toBase64, toBase64Url, utf8 } from "../../../src/base/index.ts";
import { valuesOf } from "../../../src/attest/appraise/claims-of.ts";
import type { MaaDemands } from "../../../src/attest/verify/maa-check.ts";
import {
  ISSUER,
  POLICY_HASH,
  provider,
  refuses,
  runtimeBytes,
  sgxClaims,
  snpClaims,
  tdxClaims,
  tokenOf,
  verify,
} from "../maa-fixture.ts";
import type { Json } from "../maa-fixture.ts";

const tokenFrom = (iss: string): string =>
  tokenOf({ claims: { iss }, header: { jku: `${iss}/certs` } });

const asShared = (issuer: string): Partial<MaaDemands> => ({
  providers: [{ ...provider, issuer, policy: "shared-provider" }],
});

describe("T85: a token that does not bind the relying party's runtime data is refused", () => {
  const foreign = utf8('{"nonce":"b3RoZXI"}');
  test("other runtime data, a changed byte of it, and none", async () => {
    for (const bytes of [foreign, runtimeBytes.subarray(1), new Uint8Array()])
      await refuses(tokenOf(), {
        demands: { runtimeData: { kind: "json", bytes } },
        message: /report data is not the SHA-256 of this runtime data/,
      });
  });
  test("a claim x-ms-runtime that says something else than the report data, or is not there", async () => {
    for (const runtime of [{ nonce: "b3RoZXI" }, undefined, {}])
      await refuses(tokenOf({ claims: { "x-ms-runtime": runtime } }), {
        message: /x-ms-runtime is not this runtime data/,
      });
  });
  test("a report data with anything behind the digest", async () => {
    const data = String(snpClaims["x-ms-sevsnpvm-reportdata"]);
    await refuses(tokenOf({ claims: { "x-ms-sevsnpvm-reportdata": `${data.slice(0, -1)}1` } }), {
      message: /report data is not/,
    });
  });
  test("enclave held data other than the report data's, or none", async () => {
    const runtimeData = { kind: "binary", bytes: runtimeBytes } as const;
    for (const ehd of [toBase64Url(foreign), undefined])
      await refuses(tokenOf({ tee: sgxClaims, claims: { "x-ms-sgx-ehd": ehd } }), {
        demands: { runtimeData },
        message: /x-ms-sgx-ehd is not this runtime data/,
      });
  });
  test("a nonce other than the request's, or none", async () => {
    const demands = { nonce: { equals: "nonce-1" } };
    await verify(tokenOf({ claims: { nonce: "nonce-1" } }), demands);
    for (const nonce of ["nonce-2", undefined, ""])
      await refuses(tokenOf({ claims: { nonce } }), { demands, message: /nonce of this request/ });
  });
});

describe("T86: a token under a policy that is not pinned is refused", () => {
  test("another hash, no accepted hash, and a hash of no such form", async () => {
    const claims = { "x-ms-policy-hash": "A".repeat(43) };
    await refuses(tokenOf({ claims }), { message: /has the hash A{43}, which is not pinned/ });
    await refuses(tokenOf(), {
      demands: { providers: [{ ...provider, policy: { hashes: [] } }] },
      message: /not pinned/,
    });
    for (const hash of [undefined, "", `${POLICY_HASH}=`])
      await refuses(tokenOf({ claims: { "x-ms-policy-hash": hash } }), {
        code: "attest.invalid",
        message: /not valid at x-ms-policy-hash/,
      });
  });
  test("a customer's provider, of whatever name, does not pass as one of Azure's shared ones", async () => {
    const shared = "https://sharedweu.weu.attest.azure.net";
    const { evidence } = await verify(tokenFrom(shared), asShared(shared));
    assert.equal(evidence.issuer, shared);
    for (const issuer of [
      ISSUER,
      "https://sharedweu.eus.attest.azure.net",
      "https://sharedxyz.xyz.attest.azure.net",
      "https://sharedweu.weu.test.attest.azure.net",
      "https://notsharedweu.weu.attest.azure.net",
    ])
      await refuses(tokenFrom(issuer), {
        demands: asShared(issuer),
        message: /not one of Azure's shared providers/,
      });
  });
});

describe("T87: only claims that are not deprecated are read", () => {
  test("a token with deprecated names alone lacks its claims", async () => {
    const deprecated = {
      "x-ms-attestation-type": "sgx",
      tee: "sgx",
      "sgx-mrenclave": sgxClaims["x-ms-sgx-mrenclave"],
      "sgx-mrsigner": sgxClaims["x-ms-sgx-mrsigner"],
      "product-id": 1,
      svn: 3,
      "is-debuggable": false,
      "maa-ehd": toBase64Url(runtimeBytes),
    };
    await refuses(tokenOf({ tee: deprecated }), {
      code: "attest.invalid",
      message: /not valid at x-ms-sgx-mrenclave/,
    });
    await refuses(
      tokenOf({ tee: { ...sgxClaims, "x-ms-attestation-type": undefined, tee: "sgx" } }),
      {
        code: "attest.invalid",
        message: /not valid at x-ms-attestation-type/,
      },
    );
  });
  test("each claim of each type is needed, and in its form", async () => {
    const optional = /config|isv-|compliance|tcb_status|dbgstat/;
    for (const tee of [snpClaims, tdxClaims, sgxClaims])
      for (const name of Object.keys(tee)) {
        const invalid = { code: "attest.invalid", message: new RegExp(`not valid at ${name}`) };
        if (name !== "dbgstat") await refuses(tokenOf({ tee, claims: { [name]: [] } }), invalid);
        if (!optional.test(name))
          await refuses(tokenOf({ tee, claims: { [name]: undefined } }), invalid);
      }
  });
  test("hex of another length, a VMPL of the host and SVNs out of range are refused", async () => {
    for (const [name, value] of [
      ["x-ms-sevsnpvm-launchmeasurement", "02".repeat(47)],
      ["x-ms-sevsnpvm-hostdata", `${"73".repeat(31)}zz`],
      ["x-ms-sevsnpvm-vmpl", 4],
      ["x-ms-sevsnpvm-microcode-svn", 256],
      ["x-ms-sevsnpvm-is-debuggable", "false"],
    ] as const)
      await refuses(tokenOf({ claims: { [name]: value } }), {
        code: "attest.invalid",
        message: new RegExp(`not valid at ${name}`),
      });
  });
  test("TDX attributes that disagree about debugging are refused", async () =>
    refuses(tokenOf({ tee: tdxClaims, claims: { tdx_td_attributes: "0100001000000000" } }), {
      code: "attest.invalid",
      message: /disagree/,
    }));
  test("another schema version, and types that are not TEEs here, are refused", async () => {
    await refuses(tokenOf({ claims: { "x-ms-ver": "2.0" } }), {
      code: "attest.invalid",
      message: /not valid at x-ms-ver/,
    });
    for (const type of ["tpm", "vbs", "openenclave", "SGX", ""])
      await refuses(tokenOf({ claims: { "x-ms-attestation-type": type } }), {
        code: "attest.unsupported",
        message: /expected an MAA token of type/,
      });
  });
});

describe("the guest token of an Azure VM", () => {
  const nonce = new Uint8Array(32).fill(9);
  const tee: Json = {
    "x-ms-attestation-type": "azurevm",
    "x-ms-isolation-tee": { ...snpClaims, "x-ms-runtime": { keys: [{ kid: "HCLAkPub" }] } },
    secureboot: true,
    "x-ms-azurevm-vmid": "2DEDC52A-6832-46CE-9910-E8C9980BF5A7",
    "x-ms-azurevm-ostype": "Linux",
    "x-ms-azurevm-attested-pcrs": [0, 1, 7],
    "x-ms-runtime": { "client-payload": { nonce: toBase64(nonce) }, keys: [] },
  };
  const runtimeData = { kind: "client-payload", nonce } as const;
  const claims = { "x-ms-runtime": tee["x-ms-runtime"] };

  test("verifies, bound by its client payload, and names a node only", async () => {
    const { evidence, profile } = await verify(tokenOf({ tee, claims }), { runtimeData });
    assert.equal(profile, "snp-node");
    assert.ok(evidence.tee.attestationType === "azurevm");
    assert.equal(evidence.tee.secureBoot, true);
    assert.equal(evidence.tee.isolationTee.attestationType, "sevsnpvm");
    assert.equal(evidence.tee.kernelDebug, null);
  });
  test("T322: is under debug where its loader, kernel or hypervisor is", async () => {
    for (const isolation of [snpClaims, tdxClaims]) {
      const vm = { ...tee, "x-ms-isolation-tee": isolation };
      const debugOf = async (more: Json) =>
        valuesOf(
          (await verify(tokenOf({ tee: { ...vm, ...more }, claims }), { runtimeData })).evidence,
        )["debug"];
      assert.equal(await debugOf({}), false);
      for (const what of ["boot", "kernel", "hypervisor"]) {
        const claim = `x-ms-azurevm-${what}debug-enabled`;
        assert.equal(await debugOf({ [claim]: false }), false, claim);
        assert.equal(await debugOf({ [claim]: true }), true, claim);
      }
    }
  });
  test("is refused with another payload, a short one, none, or as if it bound runtime data", async () => {
    const demands = { runtimeData };
    for (const payload of [{ nonce: toBase64(nonce.subarray(1)) }, {}, null, toBase64(nonce)])
      await refuses(tokenOf({ tee, claims: { "x-ms-runtime": { "client-payload": payload } } }), {
        demands,
        message: /client payload does not hold this nonce/,
      });
    await refuses(
      tokenOf({ tee, claims: { "x-ms-runtime": { "client-payload": { nonce: "" } } } }),
      {
        demands: { runtimeData: { kind: "client-payload", nonce: new Uint8Array() } },
        message: /client payload does not hold/,
      },
    );
    await refuses(tokenOf({ tee, claims }), { message: /binds a client payload only/ });
    await refuses(tokenOf(), { demands, message: /it is not a VM's guest token/ });
  });
  test("is refused without a TEE below it, or one that is none", async () => {
    await refuses(tokenOf({ tee, claims: { ...claims, "x-ms-isolation-tee": undefined } }), {
      code: "attest.invalid",
      message: /not valid at x-ms-isolation-tee/,
      demands: { runtimeData },
    });
    const isolation = { ...snpClaims, "x-ms-attestation-type": "vbs" };
    await refuses(tokenOf({ tee, claims: { ...claims, "x-ms-isolation-tee": isolation } }), {
      code: "attest.unsupported",
      message: /got "vbs"/,
      demands: { runtimeData },
    });
  });
});

test("T88: a token with a claim ppml is refused by production, whatever it says", async () => {
  for (const ppml of [{ simulated: true }, { simulated: false }, null])
    await refuses(tokenOf({ claims: { ppml } }), {
      code: "attest.simulated",
      message: /claim ppml/,
    });
});
