import type { AttestationResultData, ClaimOutcome } from "../../format/attestation-result.ts";

const WIDTH = 80;
const MARKS = { met: "ok", "not-met": "NO", missing: "NO", "not-checked": "--" } as const;

/**
 * Plain lines of at most 80 columns that say what an appraisal found: SIMULATED first where it is,
 * one line a claim (long hex shortened), what to do below each that is not met, then the verdict.
 */
export function explainResult(result: AttestationResultData): string[] {
  const width = Math.max(0, ...result.outcomes.map(({ claim }) => claim.length));
  const refused = result.outcomes.filter(({ outcome }) => MARKS[outcome] === "NO");
  return [
    ...(result.simulated ? ["SIMULATED: no hardware stands behind this Evidence."] : []),
    `Evidence of type ${result.evidenceType}, TEE profile ${result.profile}`,
    ...result.outcomes.flatMap((outcome) => explainClaim(outcome, width)),
    result.accepted
      ? `accepted: ${result.outcomes.length} claims, none against the policy`
      : `refused: ${refused.map(({ claim }) => claim).join(", ")}`,
  ].flatMap((line) => wrap(line, "    "));
}

function explainClaim(outcome: ClaimOutcome, width: number): string[] {
  const claim = outcome.claim.padEnd(width);
  const actual = outcome.actual === null ? "nothing" : shorten(outcome.actual);
  const mark = MARKS[outcome.outcome];
  if (outcome.outcome === "met") return [`  ${mark}  ${claim}  ${actual}`];
  if (outcome.outcome === "not-checked")
    return [`  ${mark}  ${claim}  ${actual} (the policy says any)`];
  const came = outcome.outcome === "missing" ? "nothing" : actual;
  const line = `  ${mark}  ${claim}  ${came}, expected ${shorten(outcome.expected)}`;
  return outcome.remedy === null ? [line] : [line, `      -> ${outcome.remedy}`];
}

/** A value on a line: long hex by its first and last digits. */
export function shorten(value: ClaimOutcome["actual"]): string {
  return String(value).replace(/[0-9a-f]{20,}/g, (hex) =>
    /^0+$/.test(hex) ? "zero" : `${hex.slice(0, 8)}...${hex.slice(-4)}`,
  );
}

/** Lines of at most 80 columns: breaks at spaces; text from a result may be long, but never a control character for a terminal. */
export function wrap(text: string, indent: string): string[] {
  const clean = text.replace(/[^\x20-\x7e]/g, "?");
  const lead = /^ */.exec(clean)?.[0] ?? "";
  const lines: string[] = [];
  let line = lead;
  for (const word of clean.slice(lead.length).split(" ")) {
    if (line.trim() !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${lead}${indent}${word}`;
    } else line = line.trim() === "" ? `${line}${word}` : `${line} ${word}`;
  }
  return [...lines, line];
}
