/** A parser under test: made once in a process of its own, then run on many inputs. */
export type FuzzTarget = {
  /** Kebab-case; what `--target` names. */
  readonly name: string;
  readonly prepare: () => Promise<PreparedTarget>;
};

export type PreparedTarget = {
  /** Good inputs, made by the code under test; at least one. */
  readonly seeds: readonly Uint8Array[];
  /**
   * Runs the parser. Refuses with a PpmlError and with nothing else; what it gives is what the parser
   * took out of the input, as text or bytes.
   */
  readonly run: (input: Uint8Array) => unknown;
  /**
   * `parses`: any input may be accepted. `authentic`: what is taken out of an accepted input must be
   * what one of the seeds holds, whatever bytes it came in.
   */
  readonly promise: "parses" | "authentic";
  readonly dispose?: () => Promise<void> | void;
};

/** A target whose parser is a plain function of bytes, without a promise of authenticity. */
export function parses(
  name: string,
  seeds: () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>,
  run: (input: Uint8Array) => unknown,
): FuzzTarget {
  return { name, prepare: async () => ({ seeds: await seeds(), run, promise: "parses" }) };
}
