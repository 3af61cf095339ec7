// `npm run generate`: writes the reference pages, the help pages and the editor's schema from the code.
// With --check it writes nothing and fails where a page is stale.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { cliPage, helpPages } from "./pages/cli-page.ts";
import { errorsPage } from "./pages/errors-page.ts";
import { projectPage } from "./pages/project-page.ts";
import { projectSchemaText } from "../src/cli/project-state.ts";

const isCheck = process.argv.includes("--check");

const pages: Readonly<Record<string, string>> = {
  "docs/errors.md": errorsPage(),
  "docs/schema/ppml.schema.json": projectSchemaText(),
  "docs/project-file.md": projectPage(),
  "docs/cli.md": await cliPage(),
  "src/cli/help-pages.ts": await helpPages(),
};

const stale = Object.entries(pages).filter(
  ([path, text]) => !existsSync(path) || readFileSync(path, "utf8") !== text,
);
if (!isCheck)
  for (const [path, text] of stale) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`wrote ${path}`);
  }
for (const [path, text] of isCheck ? stale : []) {
  console.log(`stale: ${path}`);
  // The difference, where the tool for it is there: a stale page is a forgotten `npm run generate`.
  if (existsSync(path))
    spawnSync("diff", ["-u", path, "-"], { input: text, stdio: ["pipe", 1, 2] });
}
if (stale.length === 0) console.log(`${Object.keys(pages).length} generated pages are up to date`);
if (isCheck && stale.length > 0) {
  console.log("run: npm run generate");
  process.exitCode = 1;
}
