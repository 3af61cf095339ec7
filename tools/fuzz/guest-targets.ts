import { generateKeyPairSync } from "node:crypto";
import { checkInitData } from "../../src/attest/appraise/init-data.ts";
import { wireOfCocoEvidence } from "../../src/attest/evidence/coco-evidence.ts";
import { createSnpForm, snpFormReport } from "../../src/attest/sim/snp-form.ts";
import { verifySimulatedEvidence } from "../../src/attest/sim/verify-sim.ts";
import { Secret, sha256, utf8 } from "../../src/base/index.ts";
import { encodeJcs, parseJson } from "../../src/format/jcs.ts";
import {
  rcarAttestSchema,
  rcarAuthSchema,
  rcarPublicKeyOf,
  rcarRuntimeBytes,
} from "../../src/format/rcar.ts";
import { decryptResource, encryptResource } from "../../src/format/resource-cipher.ts";
import { resourceSchema } from "../../src/format/resource.ts";
import { parseWith } from "../../src/format/schema.ts";
import { cocoReportOf } from "../../test/attest/evidence/coco-form.ts";
import { NOW_MS, pki, signedWire } from "../../test/attest/fixture.ts";
import { newGuestKey } from "../../test/broker/rcar/guest.ts";
import { type FuzzTarget, parses } from "./target.ts";

const INIT_DATA = '{"algorithm":"sha256","version":"0.1.0","data":{}}';

/** Evidence that binds it. */
const BOUND = signedWire({ hostData: sha256(utf8(INIT_DATA)) });

/** What guests without a job send, and the resources that they get. */
export const GUEST_TARGETS: readonly FuzzTarget[] = [
  parses(
    "rcar-auth",
    () => [
      utf8('{"version":"0.4.0","tee":"snp","extra-params":""}'),
      utf8(
        '{"version":"0.4.0","tee":"tdx","extra-params":{"supported-hash-algorithms":["sha384"]}}',
      ),
    ],
    (input) => parseWith(rcarAuthSchema, parseJson(input), { what: "auth" }).tee,
  ),
  parses(
    "rcar-attest",
    () => (["P-256", "P-521", "RSA"] as const).map((kind) => encodeJcs(attestOf(kind))),
    (input) => {
      const attest = parseWith(rcarAttestSchema, parseJson(input), { what: "attest" });
      const { nonce, "tee-pubkey": key } = attest["runtime-data"];
      rcarPublicKeyOf(key);
      return rcarRuntimeBytes({ nonce, "tee-pubkey": key, "additional-evidence": "" });
    },
  ),
  parses(
    "coco-snp",
    () => {
      const keys = { ark: authorityKey(), authority: authorityKey() };
      const form = createSnpForm({ product: "Genoa", kind: "vcek", keys, nowMs: NOW_MS });
      const report = cocoReportOf(snpFormReport(form, 3));
      const chain = [{ cert_type: "VCEK", data: [...form.certificates.key] }];
      return [encodeJcs({ attestation_report: report, cert_chain: chain })];
    },
    (input) => wireOfCocoEvidence("snp", parseJson(input)).evidence,
  ),
  parses(
    "init-data",
    () => [utf8(INIT_DATA)],
    (input) => {
      const options = { simulationRoot: pki.ark, nowMs: NOW_MS };
      const { evidence } = verifySimulatedEvidence(BOUND, options);
      const body = Buffer.from(input).toString("latin1");
      const format = body.startsWith("{") ? "json" : "toml";
      return checkInitData(evidence, { format, body });
    },
  ),
  { name: "resource", prepare: prepareResource },
];

function authorityKey() {
  return generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
}

function attestOf(kind: "P-256" | "P-521" | "RSA"): unknown {
  return {
    "init-data": { format: "json", body: INIT_DATA },
    "runtime-data": { nonce: `${"A".repeat(43)}=`, "tee-pubkey": newGuestKey(kind).jwk },
    "tee-evidence": { primary_evidence: { quote: "AAAA" }, additional_evidence: "" },
  };
}

/** Two resources under one key: what opens is the content of one of them. */
async function prepareResource() {
  const localKey = Secret.take(new Uint8Array(32).fill(7));
  const key = {
    id: "A".repeat(22),
    kekId: "embedded:0/guests",
    kekVersion: "ab".repeat(16),
    wrapped: "A".repeat(512),
  };
  const seeds = ["first", "second"].map((text, index) => {
    using content = Secret.take(utf8(text));
    const iv = new Uint8Array(12).fill(index);
    const path = `default/keys/${text}`;
    return encodeJcs(encryptResource({ path, version: 1, content, localKey, key, iv }));
  });
  return {
    seeds,
    promise: "authentic" as const,
    run: (input: Uint8Array) => {
      const resource = parseWith(resourceSchema, parseJson(input), { what: "resource" });
      using content = decryptResource(resource, localKey);
      return content.expose((bytes) => `${resource.path} ${Buffer.from(bytes).toString("utf8")}`);
    },
    dispose: () => localKey[Symbol.dispose](),
  };
}
