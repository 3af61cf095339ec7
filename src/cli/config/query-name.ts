import { basename, extname } from "node:path";

/** The name of the query in a file: the file's, without folder and last ending. */
export function queryNameOf(path: string): string {
  return basename(path, extname(path));
}
