// `npm run test:azure`: what we make for Azure, against other people's programs.
import { globSync } from "node:fs";
import { join } from "node:path";
import { ensureAzurite } from "./azurite.ts";
import { runTestFiles } from "./node-tests.ts";
import { outputOf, pythonEnvironment } from "./python-environment.ts";

const ROOT = join(import.meta.dirname, "..");

const javaVersion = javaMajor();
const missing = [
  ...(outputOf("openssl", "version")?.startsWith("OpenSSL 3") === true
    ? []
    : ["openssl (3.0 or newer)"]),
  ...(javaVersion >= 17 && outputOf("keytool", "-help") !== null
    ? []
    : ["a JDK (17 or newer, with java, javac's module and keytool)"]),
  ...(outputOf("python3", "--version") === null
    ? ["python3 (3.11 or newer, with venv and pip)"]
    : []),
  ...(outputOf("mvn", "--version") === null ? ["Maven (mvn)"] : []),
];
if (missing.length > 0) {
  console.error(
    `The Azure tests need ${missing.join(" and ")} on the PATH: install what is missing (on Debian: apt-get install openssl openjdk-17-jdk-headless maven python3-venv), then run again.`,
  );
  process.exit(1);
}
ensureAzurite();
const wanted = process.argv.slice(2);
const files =
  wanted.length > 0
    ? wanted
    : globSync(["test/azure/*.test.ts", "test/**/*.azure.test.ts"], { cwd: ROOT }).sort();
const programs = pythonEnvironment({
  name: "azure-venv",
  requirements: join(ROOT, "test", "azure", "requirements.txt"),
  probe: "import checkov",
});
// Microsoft's own command line, apart from checkov: 730 MB, made once and kept outside the tree.
const azPrograms = pythonEnvironment({
  name: "azure-cli-venv",
  requirements: join(ROOT, "test", "azure", "az-requirements.txt"),
  probe: "import azure.cli.core",
});
const env = {
  ...process.env,
  PPML_CHECKOV_PYTHON: join(programs, "python"),
  PPML_AZ_PYTHON: join(azPrograms, "python"),
};
process.exit(runTestFiles(files, { env }));

/** The version of the `java` on the PATH, or 0; `java` without the compiler's module does not count. */
function javaMajor(): number {
  if (outputOf("java", "--list-modules")?.includes("jdk.compiler@") !== true) return 0;
  const version = outputOf("java", "--version") ?? "";
  return Number(/^\S+ (\d+)/.exec(version)?.[1] ?? 0);
}
