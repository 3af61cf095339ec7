import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { skip, vectorText } from "../../attest/vectors.ts";
import { makeFixture } from "../fixture.ts";
import type { Fixture } from "../fixture.ts";
import { attest, begin, directChannel, newGuestKey } from "./guest.ts";
import type { Guest } from "./guest.ts";
import { releases } from "./resource-fixture.ts";

let fixture: Fixture;
before(async () => {
  fixture = await makeFixture("production");
});
after(() => fixture.dispose());

/**
 * A guest that sends Evidence of real hardware, which was made for another challenge. Nobody set any
 * collateral: AMD's authorities are those that the broker knows.
 */
function guestWith(json: Record<string, unknown>): Guest {
  return {
    key: newGuestKey(),
    tee: "az-snp-vtpm",
    channel: directChannel(fixture.app),
    evidence: () => json,
  };
}

const evidence = (): Record<string, unknown> =>
  JSON.parse(vectorText("azure-vtpm/trustee-az-snp-vtpm-evidence-v2.json")) as Record<
    string,
    unknown
  >;

describe("a production broker and Evidence of an Azure VM", () => {
  test(
    "T150: genuine Evidence of another challenge verifies, and is refused for what it binds",
    { skip },
    async () => {
      const guest = guestWith(evidence());
      const reply = await attest(guest, await begin(guest));
      assert.equal(reply.status, 401);
      assert.match(String(reply.json["detail"]), /^release\.binding/);
      const entry = (await releases(fixture)).at(-1);
      assert.equal(entry?.refusal?.code, "release.binding");
      assert.equal(entry?.name, "az-snp-vtpm");
    },
  );

  test("T150: the same with a changed part does not verify", { skip }, async () => {
    const json = evidence();
    const quote = json["tpm_quote"] as { readonly message: string };
    const message = `${quote.message.slice(0, -2)}00`;
    const guest = guestWith({ ...json, tpm_quote: { ...quote, message } });
    const reply = await attest(guest, await begin(guest));
    assert.equal(reply.status, 401);
    assert.match(String(reply.json["detail"]), /^attest\./);
    assert.deepEqual(fixture.failures, []);
  });
});
