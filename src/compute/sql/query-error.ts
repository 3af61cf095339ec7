import { isPpmlError, PpmlError } from "../../base/index.ts";

/** A query of a task, to say in an error which one it was. */
export type QueryScope = {
  /** Runs a step of the query; its errors name the query. */
  readonly run: <T>(step: () => Promise<T>) => Promise<T>;
  /** The error with the query's name. */
  readonly naming: (error: PpmlError) => PpmlError;
};

/**
 * The scope of the query at a place of its task. Where the task has one query only, or none at that
 * place, its errors stay as they are.
 */
export function queryOf(queries: readonly { readonly name: string }[], at: number): QueryScope {
  const name = queries.length > 1 ? queries[at]?.name : undefined;
  const naming = (error: PpmlError): PpmlError =>
    name === undefined
      ? error
      : new PpmlError(error.code, `query ${name}: ${error.message}`, {
          cause: error,
          detail: { ...error.detail, query: name },
        });
  return {
    naming,
    run: async (step) => {
      try {
        return await step();
      } catch (error) {
        throw isPpmlError(error) ? naming(error) : error;
      }
    },
  };
}
