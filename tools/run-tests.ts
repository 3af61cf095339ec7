// Runs the tests that need only Node. Arguments are test files or folders; without any, all of test/.
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { runTestFiles } from "./node-tests.ts";

const COMPILE_CACHE = join(import.meta.dirname, "..", "node_modules", ".cache", "compile");
const TIERS = ["interop", "azure"]; // each has a script of its own
/** Of the tier azure too: it starts Azurite, or many whole commands, and takes its time. */
const OF_AZURE_TIER = /\.azure\.test\.ts$/;
const wanted = process.argv.slice(2);
const files =
  wanted.length > 0
    ? wanted.flatMap((path) =>
        statSync(path).isDirectory() ? globSync(join(path, "**/*.test.ts")) : [path],
      )
    : globSync("test/**/*.test.ts").filter(
        (path) =>
          !OF_AZURE_TIER.test(path) && !TIERS.some((tier) => path.startsWith(join("test", tier))),
      );

// Every test file is a process of its own, and most load the same modules.
process.exit(runTestFiles(files, { env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env } }));
