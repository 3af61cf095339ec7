import { rawJsonMember } from "../../src/attest/collateral/raw-json.ts";
import { parseSnpCertificateTable } from "../../src/attest/collect/snp-certificate-table.ts";
import { readRaTlsCertificate } from "../../src/attest/evidence/ra-tls.ts";
import { isWholeRequest } from "../../src/broker/secret-provisioning/messages.ts";
import { utf8 } from "../../src/base/index.ts";
import { tcbInfoJson } from "../../test/attest/collateral/fake-services.ts";
import { certificateTable } from "../../test/attest/collect/certificate-table.ts";
import { raTlsIdentity } from "../../test/attest/evidence/ra-tls-fixture.ts";
import { NOW_MS } from "../../test/attest/fixture.ts";
import { type FuzzTarget, parses } from "./target.ts";

/** What a TEE's host, its clients and collateral's services send. */
export const COLLECT_TARGETS: readonly FuzzTarget[] = [
  parses(
    "snp-certificate-table",
    () => [certificateTable({ vcek: new Uint8Array(90).fill(1), ask: new Uint8Array(70).fill(2) })],
    (input) => Object.keys(parseSnpCertificateTable(input)).join(" "),
  ),
  parses(
    "ra-tls-certificate",
    async () => [
      (await raTlsIdentity()).certificate,
      (await raTlsIdentity({ tee: "tdx", legacy: true, nonce: new Uint8Array(32) })).certificate,
    ],
    (input) => readRaTlsCertificate(input, { nowMs: NOW_MS }).publicKeySha256,
  ),
  parses(
    "signed-json-member",
    () => [utf8(`{"tcbInfo":${tcbInfoJson("tdx")},"signature":"00"}`)],
    (input) => rawJsonMember(new TextDecoder().decode(input), "tcbInfo"),
  ),
  parses(
    "secret-provisioning-request",
    () => [utf8("SECRET_PROVISION_RA_TLS_REQUEST_V1\0")],
    (input) => String(isWholeRequest(input)),
  ),
];
