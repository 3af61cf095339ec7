import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { test } from "node:test";
import { z } from "zod";
import { fromHex } from "../../../src/base/index.ts";
import { refusePublishedKey, refusePublishedReport } from "../../../src/attest/verify/published.ts";
import { keys } from "../snp-forms.ts";
import { skip, vectorText } from "../vectors.ts";

test("T: report data that binds a published key is denied, whatever follows it", () => {
  const digest = "33e5dcd4b0ed8556b2420998a7e0832dfcc0343f6691229bae5e54ae5e234f87";
  for (const rest of ["00", "ff"])
    assert.throws(() => refusePublishedReport(fromHex(`${digest}${rest.repeat(32)}`)), {
      code: "attest.denied",
    });
  refusePublishedReport(new Uint8Array(64));
});

test("T: keys whose private half is published are denied, others are not", { skip }, () => {
  const withKey = z.object({ publicKey: z.string() });
  const jsonKey = (file: string) => withKey.parse(JSON.parse(vectorText(file))).publicKey;
  for (const pem of [
    jsonKey("caci/cleanroom-insecure-virtual-signing-attestation.json"),
    jsonKey("caci/cleanroom-cvm-insecure-virtual-encryption-attestation.json"),
    vectorText("caci/cleanroom-insecure-virtual-encryption-pub_key.pem"),
    vectorText("caci/cleanroom-cvm-insecure-virtual-encryption-pub_key.pem"),
  ])
    assert.throws(() => refusePublishedKey(createPublicKey(pem)), { code: "attest.denied" });
  refusePublishedKey(createPublicKey(keys.ark));
  refusePublishedKey(createPublicKey(vectorText("azure-vtpm/kinvolk-akpub.pem")));
});
