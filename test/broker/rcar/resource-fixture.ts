import assert from "node:assert/strict";
import { Secret, utf8 } from "../../../src/base/index.ts";
import { receiptSchema, RELEASE_PREDICATE } from "../../../src/format/receipt.ts";
import type { ReleasePredicate } from "../../../src/format/receipt.ts";
import type { Resource } from "../../../src/format/resource.ts";
import { peekObject, signObject } from "../../../src/format/signed-object.ts";
import type { KekInfo } from "../../../src/key/vault.ts";
import type { Policy } from "../../../src/release/policy.ts";
import { sealResource } from "../../../src/seal/seal-resource.ts";
import type { SigningKey } from "../../../src/format/jwk.ts";
import { applyPolicy, call, logEntries, makeFixture, MEASUREMENT, policyOf } from "../fixture.ts";
import type { Answer, Fixture } from "../fixture.ts";
import { directChannel, simulatedGuest } from "./guest.ts";
import type { Channel, Guest, GuestKey, Reply } from "./guest.ts";

export const PATH = "default/passwords/database";
export const CONTENT = "correct horse battery staple";

/** A resource's content, sealed for a KEK of the fixture. */
export async function resourceOf(
  fixture: Fixture,
  options: {
    readonly path?: string;
    readonly version?: number;
    readonly content?: string;
    readonly kek?: KekInfo;
  } = {},
): Promise<Resource> {
  const { path = PATH, version = 1, content = CONTENT, kek = fixture.keks.secret } = options;
  using secret = Secret.take(utf8(content));
  const publicKey = await fixture.vault.publicKey(kek.kekId);
  return sealResource({ path, version, content: secret, kek: publicKey });
}

/** POST /v1/resources, signed by the owner, or by another. */
export function postResource(
  fixture: Fixture,
  content: Resource,
  signer: SigningKey = fixture.owner,
): Promise<Answer> {
  const object = signObject("resource", content, signer);
  return call(fixture.app, "/v1/resources", { v: 1, object });
}

/** A policy for guests: the resource of PATH, under the KEK "sensitive". */
export function guestPolicyOf(fixture: Fixture, changes: Partial<Policy> = {}): Policy {
  return policyOf(fixture, {
    name: "guests",
    jobs: null,
    resources: [PATH],
    grants: [fixture.keks.secret.kekId],
    ...changes,
  });
}

/** A broker with one resource, and a policy for it. */
export async function makeResourceFixture(simulationRoot?: Uint8Array): Promise<Fixture> {
  const fixture = await makeFixture(
    "simulation",
    simulationRoot === undefined ? {} : { simulationRoot },
  );
  await applyPolicy(fixture, guestPolicyOf(fixture));
  const { status, message } = await postResource(fixture, await resourceOf(fixture));
  if (status !== 200) throw new Error(message);
  return fixture;
}

/** A guest on the fixture's machine, with the measurement that its policies accept, or another. */
export function guestOf(
  fixture: Fixture,
  options: {
    readonly measurement?: string;
    readonly hostData?: Uint8Array;
    readonly channel?: Channel;
    readonly key?: GuestKey;
  } = {},
): Guest {
  const { measurement = MEASUREMENT, hostData, channel = directChannel(fixture.app) } = options;
  return simulatedGuest({
    channel,
    report: (reportData) =>
      fixture.platform.attest({
        measurement: new Uint8Array(Buffer.from(measurement, "hex")),
        reportData,
        ...(hostData === undefined ? {} : { hostData }),
      }),
    ...(options.key === undefined ? {} : { key: options.key }),
  });
}

/** The release receipts of the log, oldest first. */
export async function releases(fixture: Fixture): Promise<ReleasePredicate[]> {
  const { entries } = await logEntries(fixture);
  return entries.flatMap((envelope) => {
    const { payload } = peekObject({ kind: "receipt", schema: receiptSchema, envelope });
    return payload.predicateType === RELEASE_PREDICATE ? [payload.predicate] : [];
  });
}

/** A refusal in CoCo's form. */
export function refused(reply: Reply, pattern: RegExp, status = 401): void {
  assert.equal(reply.status, status, reply.text);
  assert.deepEqual(Object.keys(reply.json).sort(), ["detail", "type"]);
  assert.match(
    String(reply.json["type"]),
    /^https:\/\/github\.com\/confidential-containers\/kbs\/errors\/[A-Za-z]+$/,
  );
  assert.match(String(reply.json["detail"]), pattern);
}

/** What a guest is told where no policy releases. */
export const denied = /^release\.denied: no policy allows this/;
