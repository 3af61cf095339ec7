import { isPpmlError } from "../base/index.ts";
import type { Receipt } from "../format/receipt.ts";

/** What was found for one point of a receipt. */
export type ReceiptCheck = {
  /** What it is about, such as `signature`. */
  readonly check: string;
  /** `not-checked`: nothing was pinned, or the file holds nothing, to check it with. */
  readonly outcome: "passed" | "failed" | "not-checked";
  /** What was found, in a sentence. */
  readonly detail: string;
};

/** A receipt's verdict: never a bare boolean. */
export type ReceiptReport = {
  readonly kind: "result" | "release" | "event";
  readonly receipt: Receipt;
  /** No check failed. */
  readonly accepted: boolean;
  readonly simulated: boolean;
  readonly checks: readonly ReceiptCheck[];
  /** What no check above shows, in sentences. */
  readonly doesNotProve: readonly string[];
};

/** Collects checks: each one runs, whatever became of those before it. */
export class CheckList {
  readonly checks: ReceiptCheck[] = [];

  /** Runs a check that throws where it fails, and gives its result; null where it failed. */
  run<T>(check: string, work: () => { readonly value: T; readonly detail: string }): T | null {
    try {
      const { value, detail } = work();
      this.checks.push({ check, outcome: "passed", detail });
      return value;
    } catch (error) {
      if (!isPpmlError(error)) throw error;
      this.checks.push({ check, outcome: "failed", detail: error.message });
      return null;
    }
  }

  /** As `run`, for a check that takes time. */
  async runAsync<T>(
    check: string,
    work: () => Promise<{ readonly value: T; readonly detail: string }>,
  ): Promise<T | null> {
    try {
      const found = await work();
      return this.run(check, () => found);
    } catch (error) {
      return this.run(check, () => {
        throw error;
      });
    }
  }

  /** Notes that two values have to be the same. */
  same(check: string, said: string, expected: string): void {
    if (said === expected) this.checks.push({ check, outcome: "passed", detail: said });
    else
      this.checks.push({
        check,
        outcome: "failed",
        detail: `the receipt says ${said}, expected ${expected}`,
      });
  }

  /** Notes what could not be checked. */
  skip(check: string, why: string): void {
    this.checks.push({ check, outcome: "not-checked", detail: why });
  }

  get accepted(): boolean {
    return this.checks.every(({ outcome }) => outcome !== "failed");
  }
}
