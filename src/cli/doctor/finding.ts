/** How bad a finding is: `fail` means that something of ppml does not work here. */
export type Status = "ok" | "warn" | "fail";

/** One thing that doctor looked at. */
export type Finding = {
  /** Short name, such as `node` or `swap`; stable, for scripts. */
  readonly check: string;
  readonly status: Status;
  /** What was found, one line. */
  readonly found: string;
  /** What to do; only where something is to be done. */
  readonly remedy?: string;
};

/** A finding that all is well. */
export function ok(check: string, found: string): Finding {
  return { check, status: "ok", found };
}

/** A finding that something works less well or only in part. */
export function warn(check: string, found: string, remedy: string): Finding {
  return { check, status: "warn", found, remedy };
}

/** A finding that something does not work. */
export function fail(check: string, found: string, remedy: string): Finding {
  return { check, status: "fail", found, remedy };
}

/** The remedy that an error carries, or another one. */
export function remedyOf(
  error: { readonly detail: Readonly<Record<string, unknown>> },
  otherwise: string,
): string {
  const { remedy } = error.detail;
  return typeof remedy === "string" ? remedy : otherwise;
}
