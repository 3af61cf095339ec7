import assert from "node:assert/strict";
import { test } from "node:test";
import { Hono } from "hono";
import { COLLATERAL_MAX_AGE_MS } from "../../../src/attest/collateral/fetch-part.ts";
import type { FetchOptions } from "../../../src/attest/collateral/fetch-part.ts";
import {
  AZURE_PCS,
  fetchDcapCollateral,
  INTEL_PCS,
  pccsService,
} from "../../../src/attest/collateral/intel-pcs.ts";
import type { DcapCollateralRequest } from "../../../src/attest/collateral/intel-pcs.ts";
import {
  encodeQuoteCollateralV3,
  parseQuoteCollateralV3,
} from "../../../src/attest/collateral/dcap-collateral.ts";
import { isPpmlError, utf8 } from "../../../src/base/index.ts";
import { NOW_MS } from "../fixture.ts";
import {
  crlOf,
  fakePcs,
  FMSPC,
  qeIdentityJson,
  sampleCollateral,
  tcbInfoJson,
} from "./fake-services.ts";
import { portsOf } from "./http-ports.ts";
import type { FakePorts } from "./http-ports.ts";

function optionsOf(ports: FakePorts): FetchOptions {
  return { ports, cache: null, maxAgeMs: COLLATERAL_MAX_AGE_MS };
}

const REQUEST: DcapCollateralRequest = {
  service: INTEL_PCS,
  tee: "tdx",
  fmspc: FMSPC,
  ca: "platform",
  update: "standard",
};

/** Answers in the place of one path. */
function pcsWith(path: string, answer: () => Response): ReturnType<typeof portsOf> {
  const app = new Hono().get(path, answer).route("/", fakePcs(sampleCollateral("tdx")));
  return portsOf(app);
}

async function refused(ports: FakePorts, message: RegExp, request = REQUEST): Promise<void> {
  await assert.rejects(fetchDcapCollateral(request, optionsOf(ports)), (error: unknown) => {
    assert.ok(isPpmlError(error, "attest.fetch"), String(error));
    assert.match(error.message, message);
    return true;
  });
}

test("Intel's service gives all parts, asked for by their URLs", async () => {
  for (const tee of ["sgx", "tdx"] as const) {
    const collateral = sampleCollateral(tee);
    const ports = portsOf(fakePcs(collateral));
    assert.deepEqual(await fetchDcapCollateral({ ...REQUEST, tee }, optionsOf(ports)), collateral);
    assert.deepEqual(
      ports.urls.toSorted(),
      [
        "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        `https://api.trustedservices.intel.com/${tee}/certification/v4/qe/identity?update=standard`,
        `https://api.trustedservices.intel.com/${tee}/certification/v4/tcb?fmspc=B0C06F000000&update=standard`,
        "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
      ].toSorted(),
    );
    assert.deepEqual(parseQuoteCollateralV3(encodeQuoteCollateralV3(collateral)), collateral);
  }
});

test("a PCCS and Azure's copy give the same, with CRLs in hex or PEM", async () => {
  const collateral = sampleCollateral("tdx");
  for (const [service, encoding] of [
    [pccsService("https://pccs.example:8081/"), "hex"],
    [AZURE_PCS, "pem"],
    [AZURE_PCS, "der"],
  ] as const) {
    const ports = portsOf(fakePcs(collateral, encoding));
    const request = { ...REQUEST, service, ca: "processor", update: "early" } as const;
    assert.deepEqual(await fetchDcapCollateral(request, optionsOf(ports)), collateral);
    assert.ok(ports.urls.every((url) => url.startsWith(`${service.api}/`)));
    assert.ok(ports.urls.includes(`${service.api}/sgx/certification/v4/rootcacrl`));
    assert.ok(
      ports.urls.includes(
        `${service.api}/tdx/certification/v4/tcb?fmspc=B0C06F000000&update=early`,
      ),
    );
    assert.ok(
      ports.urls.includes(`${service.api}/sgx/certification/v4/pckcrl?ca=processor&encoding=der`),
    );
  }
  assert.equal(AZURE_PCS.api, "https://global.acccache.azure.net");
});

test("a PCCS's URL is taken with the path of its API too, as Intel's configuration has it", () => {
  const service = pccsService("https://pccs.example:8081");
  assert.equal(service.rootCrl, "https://pccs.example:8081/sgx/certification/v4/rootcacrl");
  for (const path of [
    "/",
    "/sgx/certification/v4/",
    "/sgx/certification/v4",
    "/tdx/certification/v4/",
  ])
    assert.deepEqual(pccsService(`https://pccs.example:8081${path}`), service);
  assert.equal(pccsService("https://a.example/b/sgx/certification/v3/").api, "https://a.example/b");
  assert.equal(pccsService("https://a.example/sgx/").api, "https://a.example/sgx");
});

test("an FMSPC that the service does not know is told by host and status", async () => {
  await refused(
    pcsWith("/tdx/certification/v4/tcb", () => new Response(null, { status: 404 })),
    /trustedservices\.intel\.com did not give the TCB info: it answered 404/,
  );
});

test("a service that is busy or down is asked again, then given up", async () => {
  let left = 2;
  const ports = portsOf({
    request: (url, init) =>
      url.includes("/pckcrl") && (left -= 1) >= 0
        ? new Response(null, { status: 429, headers: { "retry-after": "1" } })
        : fakePcs(sampleCollateral("tdx")).request(url, init),
  });
  await fetchDcapCollateral(REQUEST, optionsOf(ports));
  assert.deepEqual(ports.pauses, [1250, 1250]);
  await refused(
    pcsWith("/sgx/certification/v4/pckcrl", () => new Response(null, { status: 503 })),
    /PCK CRL: it answered 503 \(asked 4 times\)/,
  );
});

const chain = { "TCB-Info-Issuer-Chain": "x" };
for (const [name, path, answer, message] of [
  [
    "a page of HTML",
    "/tdx/certification/v4/tcb",
    () => new Response("<html>"),
    /something else than the TCB info/,
  ],
  [
    "half of a JSON",
    "/tdx/certification/v4/tcb",
    () => new Response('{"tcbInfo":{"id"'),
    /something else/,
  ],
  [
    "bytes that are not text",
    "/tdx/certification/v4/tcb",
    () => new Response(Uint8Array.of(0xff)),
    /not text/,
  ],
  [
    "a body without signature",
    "/tdx/certification/v4/tcb",
    () => new Response(`{"tcbInfo":${tcbInfoJson("tdx")}}`),
    /signature/,
  ],
  [
    "a signature of another length",
    "/tdx/certification/v4/tcb",
    () => new Response(`{"tcbInfo":{},"signature":"00"}`),
    /64 bytes in hex/,
  ],
  [
    "TCB info of the other TEE",
    "/tdx/certification/v4/tcb",
    () => signed("tcbInfo", tcbInfoJson("sgx"), chain),
    /it is of SGX/,
  ],
  [
    "TCB info of another platform",
    "/tdx/certification/v4/tcb",
    () => signed("tcbInfo", tcbInfoJson("tdx").replace("B0C06F", "AAAAAA"), chain),
    /FMSPC aaaaaa000000/,
  ],
  [
    "TCB info without a chain",
    "/tdx/certification/v4/tcb",
    () => signed("tcbInfo", tcbInfoJson("tdx"), {}),
    /no header TCB-Info-Issuer-Chain/,
  ],
  [
    "a chain that is no PEM",
    "/tdx/certification/v4/tcb",
    () => signed("tcbInfo", tcbInfoJson("tdx"), chain),
    /PEM/,
  ],
  [
    "a chain that is not percent-encoded",
    "/tdx/certification/v4/tcb",
    () => signed("tcbInfo", tcbInfoJson("tdx"), { "TCB-Info-Issuer-Chain": "%E0%A4%A" }),
    /percent-encoded/,
  ],
  [
    "a QE identity of the other TEE",
    "/tdx/certification/v4/qe/identity",
    () => signed("enclaveIdentity", qeIdentityJson("sgx"), {}),
    /identity of QE/,
  ],
  [
    "a CRL that is cut",
    "/IntelSGXRootCA.der",
    () => new Response(crlOf(NOW_MS + 1e9).slice(0, 50)),
    /root CA's CRL/,
  ],
  ["an empty CRL", "/IntelSGXRootCA.der", () => new Response(""), /root CA's CRL/],
  [
    "a CRL over the bound",
    "/IntelSGXRootCA.der",
    () => new Response(new Uint8Array(4 * 1024 * 1024 + 1)),
    /over 4194304/,
  ],
] as const)
  test(`${name} is refused as something else`, async () => {
    await refused(pcsWith(path, answer), message);
  });

test("T104: collateral that is out of date when it comes is refused", async () => {
  const collateral = sampleCollateral("tdx");
  for (const changes of [
    { tcbInfo: utf8(tcbInfoJson("tdx", NOW_MS - 1000)) },
    { qeIdentity: utf8(qeIdentityJson("tdx", NOW_MS)) },
    { pckCrl: crlOf(NOW_MS - 1000) },
    { rootCaCrl: crlOf(NOW_MS - 1000) },
  ])
    await refused(portsOf(fakePcs({ ...collateral, ...changes })), /out of date/);
});

function signed(name: string, json: string, headers: Record<string, string>): Response {
  return new Response(`{"${name}":${json},"signature":"${"00".repeat(64)}"}`, { headers });
}
