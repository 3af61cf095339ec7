/** A thing that is wrong in the section, and where below `azure` it stands. */
export type SectionProblem = {
  readonly path: readonly (string | number)[];
  readonly message: string;
};
