import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { PpmlError, sha256, toHex, utf8 } from "../base/index.ts";
import { queryNameOf } from "./config/query-name.ts";
import type { Project } from "./config/load.ts";
import type { JobConfig } from "./config/schema.ts";

const MAX_CODE_BYTES = 1_000_000;

/** A query of a job: its name, which its result gets too, and its text. */
export type Query = { readonly name: string; readonly text: string };

/** Reads the queries of a job of ppml.yaml, in their order. @throws launch.job */
export async function loadQueries(project: Project, config: JobConfig): Promise<readonly Query[]> {
  const paths = typeof config.code === "string" ? [config.code] : config.code;
  return await Promise.all(
    paths.map(async (path) => ({ name: queryNameOf(path), text: await loadText(project, path) })),
  );
}

async function loadText(project: Project, path: string): Promise<string> {
  const bytes = await readFile(project.resolve(path)).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : "unknown";
    throw new PpmlError(
      "launch.job",
      `the job's code ${path} cannot be read (${why}): write the query there, or name another file in ppml.yaml`,
      { cause },
    );
  });
  // What is not UTF-8 would be signed as other bytes than those in the file.
  if (!isUtf8(bytes))
    throw new PpmlError("launch.job", `the job's code ${path} is not UTF-8 text: save it as UTF-8`);
  const text = bytes.toString("utf8");
  if (text.length > MAX_CODE_BYTES)
    throw new PpmlError("launch.job", `${path} is longer than ${MAX_CODE_BYTES} characters`);
  return text;
}

/** SHA-256 of a query's text, hex. */
export function queryDigest({ text }: Query): string {
  return toHex(sha256(utf8(text)));
}
