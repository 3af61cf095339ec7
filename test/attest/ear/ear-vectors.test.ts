import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { earTeePubkey, TRUSTEE_PROFILE, VERAISON_PROFILE } from "../../../src/attest/ear/ear.ts";
import { parseCompactJws } from "../../../src/attest/token/compact-jws.ts";
import { sharedPath, skipWithout } from "../../shared-data.ts";
import { es256Key, verify } from "./fixture.ts";
import type { EarOptions } from "./fixture.ts";

const folder = sharedPath("vectors", "attestation", "ear");
const skip = skipWithout(folder);
const textOf = (name: string): string => readFileSync(join(folder ?? "", `${name}.jwt`), "utf8");

/** The public key of RFC 8152's examples (kid 11), which Veraison's samples are signed with. */
const RFC8152_KEY = es256Key(
  "usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8",
  "IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4",
);

const veraison: Partial<EarOptions> = {
  keys: [RFC8152_KEY],
  profiles: [VERAISON_PROFILE],
  maxAgeSeconds: 3600,
};

describe(
  "Veraison's samples verify by their key at their time, and not a character away",
  { skip },
  () => {
    for (const [name, issuedAt] of [
      ["ear-1", 1_706_023_979],
      ["ear-2", 1_666_091_373],
      ["ear-5", 1_666_091_373],
    ] as const)
      test(name, async () => {
        const options = { ...veraison, nowMs: (issuedAt + 10) * 1000 };
        const token = textOf(name);
        const { ear } = await verify(token, options);
        assert.equal(ear.issuedAtMs, issuedAt * 1000);
        assert.deepEqual(
          Object.values(ear.submods).map(({ status }) => status),
          ["affirming"],
        );
        for (const changed of [
          token.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
          token.slice(0, -1),
          token.replace("ey", "eY"),
        ])
          await assert.rejects(verify(changed, options), { name: "PpmlError" });
        await assert.rejects(verify(token, { ...options, profiles: [TRUSTEE_PROFILE] }), {
          message: /expected an EAR of/,
        });
        await assert.rejects(verify(token, { ...options, nowMs: (issuedAt + 3601) * 1000 }), {
          message: /3601 seconds old/,
        });
      });
  },
);

test("Veraison's sample with an nbf verifies from then on only", { skip }, async () => {
  const token = textOf("ear-6");
  const at = (seconds: number, maxAgeSeconds: number) =>
    verify(token, { ...veraison, nowMs: seconds * 1000, maxAgeSeconds });
  await assert.rejects(at(1_666_091_400, 3600), { message: /of the future/ });
  const { ear } = await at(1_676_472_709, 20_000_000);
  assert.equal(ear.notBeforeMs, 1_676_472_709_000);
});

test("Trustee's sample verifies by its pinned key, within its five minutes", { skip }, async () => {
  const token = textOf("ear-4");
  const jwk = parseCompactJws(token, "the vector").header["jwk"] as { x: string; y: string };
  const options = {
    keys: [es256Key(jwk.x, jwk.y)],
    maxAgeSeconds: 300,
    nowMs: 1_752_059_200_000,
  };
  const { ear } = await verify(token, options);
  assert.equal(ear.profile, TRUSTEE_PROFILE);
  assert.deepEqual(ear.submods["cpu0"]?.vector, { configuration: 3, executables: 3, hardware: 2 });
  // Its guest's key has 1024 bits: it is not one to encrypt to.
  assert.throws(() => earTeePubkey(ear), { code: "attest.invalid", message: /tee-pubkey/ });
  await assert.rejects(verify(token, { ...options, keys: [RFC8152_KEY] }), {
    message: /not signed by a pinned key/,
  });
  await assert.rejects(verify(token, { ...options, nowMs: (1_752_059_439 + 60) * 1000 }), {
    message: /past its exp/,
  });
});
