/** The flag that lets key files be replaced. */
export const forceFlag = {
  force: {
    kind: "boolean",
    brief: "Replace what an earlier run made, for ever",
    optional: true,
    withNegated: false,
  },
} as const;

/** The flag that names where a password comes from; no flag takes a password itself. */
export const passwordFileFlag = {
  passwordFile: {
    kind: "parsed",
    parse: String,
    brief: "Read the password from a file of mode 0600, or fd:N (fd:0 is standard input)",
    placeholder: "FILE",
    optional: true,
  },
} as const;
