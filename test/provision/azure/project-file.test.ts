import assert from "node:assert/strict";
import { test } from "node:test";
import { stringify } from "yaml";
import { isPpmlError } from "../../../src/base/index.ts";
import { parseProject } from "../../../src/cli/config/parse.ts";
import { FULL } from "./sections.ts";

const HEAD = `version: 1
name: demo
mode: production
vault: { kind: embedded, path: .ppml/vault.db, rootKeyFile: .ppml/root.key }
broker: { state: .ppml/broker }
owner: { key: .ppml/owner.key }
datasets: {}
policies: { analysis: { file: policies/analysis.json } }
jobs: {}
`;
const ID = "/subscriptions/aaaaaaaa-2222-4333-8444-555555555555/resourceGroups/shared/providers";
const fileOf = (azure: object) => `${HEAD}${stringify({ azure })}`;

const lakeWith = (directories: object) => ({ storage: { ...FULL.storage, directories } });

/** A change of the section, and what the error says of it. */
const WRONG: readonly (readonly [change: object, message: RegExp])[] = [
  [
    { region: "East US 2" },
    /azure\.region: expected a region's name, such as eastus2; came "East US 2"/,
  ],
  [{ subscription: "mine" }, /azure\.subscription: expected a GUID/],
  [{ resourceGroup: "ends." }, /azure\.resourceGroup: expected a resource group's name/],
  [{ registri: {} }, /azure\.registri: unknown key/],
  [
    { vm: { ...FULL.vm, size: "Standard_DC4as_v5" } },
    /azure\.vm\.size: expected at least 5 vCPUs; Standard_DC4as_v5 has 4: take Standard_DC8as_v5/,
  ],
  [
    { vm: { ...FULL.vm, size: "Standard_DC8s_v3" } },
    /azure\.vm\.size: Standard_DC8s_v3 has SGX, and SNP is wanted: take/,
  ],
  [
    { profile: "sgx", vm: { ...FULL.vm, size: "Standard_DC4s_v2" } },
    /Standard_DC4s_v2 was retired on 2026-06-30: take Standard_DC8s_v3/,
  ],
  [{ vm: { ...FULL.vm, size: "Standard_D8s_v5" } }, /is no confidential size that the table of/],
  [
    { profile: "tdx", aks: { vmSize: "Standard_DC8es_v6" } },
    /aks\.vmSize: .*TDX, and SNP is wanted/,
  ],
  [{ aks: { outbound: "routeTable" } }, /aks\.outbound: .* has no route table/],
  [{ aks: { sgxAddon: true } }, /aks\.sgxAddon: .* set profile: sgx/],
  [{ vm: { ...FULL.vm, sshFrom: ["0.0.0.0/0"] } }, /port 22 may not be open to the whole internet/],
  [{ aks: { serviceCidr: "10.0.0.0/33" } }, /aks\.serviceCidr: expected an IPv4 network/],
  [
    { aks: { serviceCidr: "10.1.0.0/16", dnsServiceIp: "10.1.0.10" } },
    /aks\.serviceCidr: 10\.1\.0\.0\/16 overlaps with network\.cidr 10\.1\.0\.0\/16/,
  ],
  [{ aks: { podCidr: "10.0.128.0/17" } }, /aks\.podCidr: .* overlaps with aks\.serviceCidr/],
  [
    { aks: { dnsServiceIp: "10.5.0.10" } },
    /expected an address of aks\.serviceCidr 10\.0\.0\.0\/16/,
  ],
  [{ aks: { dnsServiceIp: "10.0.0.1" } }, /the first addresses of 10\.0\.0\.0\/16 are/],
  [{ aks: { dnsServiceIp: "10.0.255.255" } }, /is its broadcast address/],
  [
    { network: { subnets: { vm: "10.9.0.0/24" } } },
    /network\.subnets\.vm: expected a part of network\.cidr 10\.1\.0\.0\/16/,
  ],
  [
    { network: { subnets: { vm: "10.1.4.0/24" } } },
    /network\.subnets\.aks: 10\.1\.4\.0\/22 overlaps with network\.subnets\.vm/,
  ],
  [
    { network: { cidr: "10.1.2.0/16" } },
    /network\.cidr: expected 10\.1\.0\.0\/16; came 10\.1\.2\.0/,
  ],
  [{ network: { subnets: { aks: "10.1.4.0/28" } } }, /expected \/27 or larger for the nodes/],
  [
    {
      network: {
        hub: {
          vnet: `/subscriptions/${FULL.subscription}/resourceGroups/h/providers/Microsoft.Network/virtualNetworks/hub`,
          cidrs: ["10.0.0.0/8"],
        },
      },
    },
    /network\.hub\.cidrs\[0\]: 10\.0\.0\.0\/8 overlaps with network\.cidr/,
  ],
  [{ storage: { account: "My-Lake" } }, /storage\.account: expected 3 to 24 lower-case letters/],
  [{ storage: {} }, /azure\.storage: expected either "account" for a new one or "existing"/],
  [
    { storage: { account: "one", existing: "two" } },
    /storage\.existing: expected either "account" for a new one or "existing"/,
  ],
  [{ keyVault: { name: "my--vault" } }, /keyVault\.name: expected 3 to 24 letters/],
  [
    { keyVault: { name: "vault", softDeleteDays: 5 } },
    /softDeleteDays: expected at least 7; came 5/,
  ],
  [
    { keyVault: { name: "vault", keks: { a: { use: "exportable" } } }, identities: {} },
    /keks\.a: an exportable KEK needs "policy"/,
  ],
  [
    lakeWith({ "/in": {} }),
    /storage\.directories\."\/in": expected a directory's path in the filesystem, such as in\/flights/,
  ],
  [lakeWith({ "in/..": {} }), /expected a directory's path in the filesystem/],
  [
    lakeWith({ in: { readers: ["sparc"] } }),
    /storage\.directories\.in\.readers\[0\]: azure\.identities has no "sparc": add it there, or name one of broker, spark/,
  ],
  [lakeWith({ in: { writers: ["broker"] } }), /in\.writers\[0\]: broker is a broker/],
  [
    lakeWith({ in: { readers: ["constructor"], writers: ["constructor"] } }),
    /in\.writers\[0\]: "constructor" is named twice: a writer reads too/,
  ],
  [lakeWith({ in: { reader: [] } }), /unknown key: did you mean "readers"\?/],
  [
    {
      keyVault: { name: "vault", keks: { a: { use: "exportable", policy: "x" } } },
      identities: {},
    },
    /there is no policy "x" in this file/,
  ],
  [
    { identities: { spark: { ...FULL.identities.spark, keks: ["input"] } } },
    /identities\.spark\.keks: a workload may have exportable KEKs only; input is unwrap-only/,
  ],
  [
    { identities: { b: { ...FULL.identities.broker, data: "read" } } },
    /identities\.b\.data: the broker reads and writes no data/,
  ],
  [
    { identities: { a: FULL.identities.broker, b: FULL.identities.broker } },
    /identities\.b\.serviceAccount: identities\.a has the same service account/,
  ],
  [
    { keyVault: { ...FULL.keyVault, activated: true } },
    /azure\.keyVault\.activated: only a Managed HSM is activated: remove it/,
  ],
  [
    { keyVault: { ...FULL.keyVault, sku: "managedHsm" } },
    /azure\.identities\.spark\.secrets: a Managed HSM keeps no secrets: remove them/,
  ],
  [
    { keyVault: { ...FULL.keyVault, sku: "managedHsm" }, operators: [] },
    /azure\.operators: a Managed HSM needs administrators/,
  ],
  [
    {
      keyVault: {
        existing: `${ID}/Microsoft.KeyVault/managedHSMs/corp-hsm`,
        keks: FULL.keyVault.keks,
      },
    },
    /azure\.keyVault\.sku: existing names a Managed HSM: say sku: managedHsm/,
  ],
  [
    {
      keyVault: {
        existing: `${ID}/Microsoft.KeyVault/vaults/corp-vault`,
        sku: "managedHsm",
        keks: FULL.keyVault.keks,
      },
    },
    /azure\.keyVault\.sku: existing names a vault: say sku: premium/,
  ],
  ...["a(b)", "-x-y", "..", "a.b.c", "a".repeat(25), "a--b"].map(
    (name) =>
      [
        {
          keyVault: {
            existing: `${ID}/Microsoft.KeyVault/managedHSMs/${name}`,
            sku: "managedHsm",
            keks: FULL.keyVault.keks,
          },
        },
        /azure\.keyVault\.existing: expected an id that ends with a vault's name/,
      ] as const,
  ),
  [{ identities: { vm: FULL.identities.broker } }, /identities\.vm: this name is taken/],
  [
    { registry: { existing: "/subscriptions/x" } },
    /registry\.existing: expected .*Microsoft\.ContainerRegistry|registry\.existing/,
  ],
];

test("the example of the tests is a good project file", () => {
  const { azure } = parseProject(fileOf(FULL), "ppml.yaml");
  assert.equal(azure?.transport, "direct");
  assert.equal(azure.network.cidr, "10.1.0.0/16");
});

test("T321: an identity whose role counts before an ACL is not named in one", () => {
  const message =
    /in\.readers\[0\]: identities\.spark has data: write of the whole filesystem, which counts before any directory: say data: none/;
  assert.throws(
    () => parseProject(fileOf({ ...FULL, ...lakeWith({ in: { readers: ["spark"] } }) }), "p.yaml"),
    message,
  );
});

test("more identities than an ACL has room for are refused", () => {
  const identities = Object.fromEntries(
    Array.from({ length: 26 }, (_, i) => [`i${i}`, { namespace: "a", serviceAccount: `i${i}` }]),
  );
  const all = Object.keys(identities);
  const halves = { a: { readers: all.slice(0, 13) }, b: { writers: all.slice(13) } };
  assert.throws(
    () => parseProject(fileOf({ ...FULL, identities, ...lakeWith(halves) }), "ppml.yaml"),
    /azure\.storage\.directories: expected at most 25 identities in all of them; came 26/,
  );
});

for (const [change, message] of WRONG)
  test(`refused with its line: ${JSON.stringify(change).slice(0, 90)}`, () => {
    assert.throws(
      () => parseProject(fileOf({ ...FULL, ...change }), "ppml.yaml"),
      (error) => {
        assert.ok(isPpmlError(error, "config.invalid"));
        assert.match(error.message, message);
        assert.match(error.message, /ppml\.yaml:\d+:\d+: azure/);
        return true;
      },
    );
  });
