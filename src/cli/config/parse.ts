import { parseYaml } from "./document.ts";
import { explainIssue, pathText } from "./explain-issue.ts";
import { keysAt } from "./json-schema.ts";
import { problemsError } from "./problem.ts";
import { checkReferences } from "./references.ts";
import { type ProjectConfig, projectSchema } from "./schema.ts";

const MAX_ISSUES = 50;

/**
 * Parses the text of a ppml.yaml; `fileName` is what errors call it.
 * @throws config.invalid with line, column, path, what was expected, what came and the nearest name
 * @see docs/project-file.md
 */
export function parseProject(text: string, fileName: string): ProjectConfig {
  const document = parseYaml(text, fileName);
  const result = projectSchema.safeParse(document.content);
  if (!result.success) {
    // Finding a place takes time with the file's size: the first issues tell enough.
    const issues = result.error.issues.slice(0, MAX_ISSUES);
    throw problemsError(
      fileName,
      issues.flatMap((issue) => explainIssue(issue, { document, keysAt })),
    );
  }
  const wrong = checkReferences(result.data);
  if (wrong.length > 0)
    throw problemsError(
      fileName,
      wrong.map(({ path, message }) => {
        const { line, column } = document.positionOf(path);
        return { line, column, path: pathText(path), message };
      }),
    );
  return result.data;
}
