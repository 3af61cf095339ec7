import { fromTimestamp, PpmlError } from "../base/index.ts";
import { appraise } from "../attest/appraise/appraise.ts";
import { expectedBinding } from "../attest/appraise/binding.ts";
import { maaClaimsOfReport } from "../attest/appraise/claims.ts";
import type { Evidence } from "../attest/evidence/evidence.ts";
import { identityOf } from "../attest/explain/identity.ts";
import { verifySimulatedEvidence } from "../attest/sim/verify-sim.ts";
import { peekMaaToken } from "../attest/verify/maa-check.ts";
import type { MaaProvider } from "../attest/verify/maa-providers.ts";
import type { Verified } from "../attest/verify/verified.ts";
import { maaTokenOf, verifyEvidence } from "../attest/verify/verify.ts";
import type { TeeProfile } from "../format/attestation-result.ts";
import { encodeJcs } from "../format/jcs.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { receiptSchema } from "../format/receipt.ts";
import type { ResultPredicate, ResultReceipt } from "../format/receipt.ts";
import { verifyObject } from "../format/signed-object.ts";
import { kekReportData, kekRuntimeDataSchema } from "../format/skr/release-key.ts";
import type { Envelope } from "../format/signed-object.ts";
import type { CheckList } from "./report.ts";
import type { ReceiptRoots } from "./receipt-roots.ts";

const CLOCK_SKEW_MS = 300_000;

/** As the broker's bound: a token that a job's keys were released by was made just before. */
const MAX_TOKEN_AGE_SECONDS = 600;

/** Who is trusted in spite of the Evidence, by profile. @see docs/limits.md */
const TRUSTED: Readonly<Record<TeeProfile, string>> = {
  sim: "the machine that ran it is trusted wholly: its operator could have written anything",
  "snp-node": "the cluster's administrators are trusted: the Evidence names the node, not the pod",
  snp: "the CPU's maker is trusted, and side channels are not excluded",
  tdx: "the CPU's maker is trusted, and side channels are not excluded",
  sgx: "the CPU's maker is trusted, and side channels are not excluded",
};

type Context = {
  readonly receipt: ResultReceipt;
  readonly envelope: Envelope;
  readonly roots: ReceiptRoots;
  readonly nowMs: number;
};

/** Checks a result's receipt, all but its place in the log; gives what it does not prove. */
export async function checkResult(list: CheckList, context: Context): Promise<string[]> {
  const { receipt, envelope, roots } = context;
  const { predicate } = receipt;
  const { runtimeData } = predicate;
  checkSignature(list, envelope, predicate);
  const evidence = await list.runAsync("evidence", async () => {
    const value = await verifyAt(predicate, roots);
    return {
      value,
      detail: `${predicate.evidence.type}, signed under the pinned ${predicate.evidence.type === "maa" ? "provider's key" : "root"}`,
    };
  });
  if (evidence === null) {
    list.skip("binding", "the Evidence does not verify, so it binds nothing");
    list.skip("appraisal", "the Evidence does not verify");
  } else {
    list.run("binding", () => {
      maaClaimsOfReport({ evidence, reportData: bindingOf(evidence.evidence, runtimeData) });
      const detail = `the TEE with ${identityOf(evidence.evidence)} made the signing key for this job`;
      return { value: null, detail };
    });
    list.same("profile", predicate.profile, evidence.profile);
    list.same("simulated", String(predicate.simulated), String(evidence.simulated));
    checkAppraisal(list, { evidence, predicate, roots });
  }
  list.same("job", predicate.job.digest, runtimeData["job-digest"]);
  checkSubject(list, receipt);
  checkTimes(list, predicate, context.nowMs);
  return [
    TRUSTED[evidence?.profile ?? predicate.profile],
    ...(predicate.policy === null
      ? [
          "NO JOB POLICY APPLIED: the job ran without a broker, so that nobody but its signer decided on its code, its purpose and its output; that the launcher took jobs of this signer alone follows from its measurement",
        ]
      : [
          "that the owner approved the job: the job's own signature and the release's log entry say so",
        ]),
    "the time: the TEE takes it from its host",
    ...(roots.appraisal === null
      ? ["which code ran: no reference values were given to compare the measurement with"]
      : []),
  ];
}

/** What the Evidence has to bind. A TEE that is given a KEK binds what MAA compares. */
function bindingOf(evidence: Evidence, runtimeData: ResultPredicate["runtimeData"]): Uint8Array {
  const kek = kekRuntimeDataSchema.safeParse(runtimeData);
  return kek.success ? kekReportData(kek.data) : expectedBinding(evidence, encodeJcs(runtimeData));
}

function checkSignature(list: CheckList, envelope: Envelope, predicate: ResultPredicate): void {
  list.run("signature", () => {
    const { kty, crv, x, y, kid, use } = predicate.runtimeData.keys[1];
    const jwk = { kty, crv, x, y };
    if (use !== "sig" || kid !== jwkThumbprint(jwk))
      throw new PpmlError("receipt.invalid", "the runtime data's second key is not a signing key");
    verifyObject({ kind: "receipt", schema: receiptSchema, envelope, signers: [jwk] });
    return { value: null, detail: `signed by the TEE's key ${kid}` };
  });
}

/** At the time of the result: the collateral of that moment is in the receipt. */
async function verifyAt(
  predicate: ResultPredicate,
  roots: ReceiptRoots,
): Promise<Verified<Evidence>> {
  const nowMs = fromTimestamp(predicate.finishedAt);
  const { evidence, mode } = predicate;
  if (evidence.type === "maa") return await verifyTokenOf(predicate, roots.maaProviders);
  if (!evidence.type.startsWith("sim-") || mode === "production")
    return await verifyEvidence(evidence, { nowMs, maaProviders: [], maaMaxAgeSeconds: 0 });
  const root = roots.simulationRoot;
  if (root === null)
    throw new PpmlError(
      "attest.simulated",
      "the Evidence is simulated and no simulation's root is pinned: it proves nothing here",
    );
  return verifySimulatedEvidence(evidence, { simulationRoot: root, nowMs });
}

/**
 * A token is good for eight hours, and a job may take longer: it is verified for the moment of its
 * issue, which has to lie in the job's time, or shortly before it. Its provider's keys are not in
 * the receipt, for whoever makes a token could put them there: they are pinned, or it fails.
 */
async function verifyTokenOf(
  { evidence, startedAt, finishedAt }: ResultPredicate,
  providers: readonly MaaProvider[],
): Promise<Verified<Evidence>> {
  const { issuer, keyId, issuedAtMs } = peekMaaToken(maaTokenOf(evidence));
  const pinned = providers.find((provider) => provider.issuer === issuer);
  if (pinned?.jwks.keys.some(({ kid }) => kid === keyId) !== true)
    throw new PpmlError(
      "attest.not_verified",
      `the Evidence is a token of ${issuer.slice(0, 100)}, and ${pinned === undefined ? "that provider is not" : `its key ${keyId ?? "without a name"} is not`} pinned: put the provider under maaProviders in roots.json, with the keys that it had on ${startedAt}`,
    );
  const nowMs = Math.min(Math.max(issuedAtMs, fromTimestamp(startedAt)), fromTimestamp(finishedAt));
  return await verifyEvidence(evidence, {
    nowMs,
    maaProviders: providers,
    maaMaxAgeSeconds: MAX_TOKEN_AGE_SECONDS,
  });
}

function checkAppraisal(
  list: CheckList,
  context: {
    readonly evidence: Verified<Evidence>;
    readonly predicate: ResultPredicate;
    readonly roots: ReceiptRoots;
  },
): void {
  const { evidence, predicate } = context;
  const { appraisal: policy } = context.roots;
  if (policy === null) return list.skip("appraisal", "no reference values were given");
  list.run("appraisal", () => {
    const reportData = bindingOf(evidence.evidence, predicate.runtimeData);
    const { data } = appraise({ evidence, policy, reportData, nowMs: evidence.verifiedAt });
    if (data.accepted) return { value: null, detail: `${data.outcomes.length} claims as expected` };
    const failed = data.outcomes.filter(({ outcome }) => outcome !== "met");
    const reasons = failed
      .filter(({ outcome }) => outcome !== "not-checked")
      .map(({ claim, actual, expected }) => `${claim} is ${actual}, expected ${expected}`);
    throw new PpmlError("receipt.invalid", reasons.join("; "));
  });
}

function checkSubject(list: CheckList, receipt: ResultReceipt): void {
  const { output } = receipt.predicate;
  const [subject, ...more] = receipt.subject;
  list.same(
    "subject",
    more.length > 0 || subject === undefined
      ? `${receipt.subject.length} subjects`
      : `${subject.name} ${subject.digest.sha256}`,
    `${output.name} ${output.manifestDigest}`,
  );
}

function checkTimes(list: CheckList, predicate: ResultPredicate, nowMs: number): void {
  const { startedAt, finishedAt } = predicate;
  list.run("time", () => {
    const finished = fromTimestamp(finishedAt);
    if (!(fromTimestamp(startedAt) <= finished && finished <= nowMs + CLOCK_SKEW_MS))
      throw new PpmlError(
        "receipt.invalid",
        `it says ${startedAt} to ${finishedAt}: its end is before its start or in the future`,
      );
    return { value: null, detail: `${startedAt} to ${finishedAt}` };
  });
}
