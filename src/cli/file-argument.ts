/** The argument FILE of a command on one file. */
export function fileArgument(brief: string) {
  return {
    kind: "tuple",
    parameters: [{ placeholder: "FILE", brief, parse: String }],
  } as const;
}
