import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { managedIdentityEnvironment, withTwin } from "../../../src/twin/environment.ts";
import type { Twin, TwinOptions } from "../../../src/twin/start.ts";
import { TWIN } from "../../../src/twin/state-kinds.ts";
import { findIdentity } from "../../../src/twin/use.ts";
import { writeAzureProject } from "../../cli/azure-project.ts";
import { runningTwin } from "../../twin/running.ts";

const CHILD = join(import.meta.dirname, "steps-child.ts");

/** What a command line gave. */
export type Step = {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
};

/** A running twin and a project of its subscription. */
export type Site = {
  readonly twin: Twin & { readonly log: string[] };
  readonly cwd: string;
  /** Writes the project anew, with a change of the section. */
  readonly write: (change?: object) => void;
  /** Runs command lines, one after the other, in one process. */
  readonly run: (...lines: readonly string[]) => Promise<readonly Step[]>;
  /** The same, logged in as a managed identity. */
  readonly runAs: (identity: string, ...lines: readonly string[]) => Promise<readonly Step[]>;
  /** Starts one command line and does not wait. */
  readonly start: (line: string) => {
    readonly child: ChildProcess;
    readonly ended: Promise<readonly Step[]>;
  };
};

/** Starts a twin, and writes a project that is all in its subscription; gone after the test. */
export async function siteIn(
  context: Pick<TestContext, "after">,
  options: Partial<TwinOptions> = {},
): Promise<Site> {
  const twin = await runningTwin(context, options);
  const cwd = mkdtempSync(join(tmpdir(), "ppml azure "));
  context.after(() => rmSync(cwd, { recursive: true, force: true }));
  const owner = twin.base.state.get(TWIN, "twin")?.ownerObjectId ?? "";
  const write = (change: object = {}) =>
    writeAzureProject(cwd, {
      subscription: twin.subscriptionId,
      tenant: twin.tenantId,
      transport: "environment",
      operators: [{ objectId: owner, kind: "servicePrincipal" }],
      ...change,
    });
  write();
  const begin = (lines: readonly string[], environment = twin.environment) => {
    const base = { PATH: process.env["PATH"], HOME: cwd };
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD], {
      cwd,
      env: withTwin(base, environment),
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.end(JSON.stringify(lines.map((line) => line.split(" "))));
    const ended = text(child.stdout).then((out) =>
      out === "" ? [] : (JSON.parse(out) as readonly Step[]),
    );
    return { child, ended };
  };
  return {
    twin,
    cwd,
    write,
    run: (...lines) => begin(lines).ended,
    runAs: (identity, ...lines) => {
      const { clientId } = findIdentity(twin.base.state, identity);
      const { environment, running } = twin;
      return begin(lines, managedIdentityEnvironment(environment, { clientId, running })).ended;
    },
    start: (line) => begin([line]),
  };
}

/** The error of a step that ran with --json. */
export function errorOf(step: Step | undefined): {
  readonly code: string;
  readonly message: string;
} {
  const document = JSON.parse(step?.stdout ?? "{}") as {
    error?: { code: string; message: string };
  };
  return document.error ?? { code: `none (${step?.stdout.slice(0, 300)})`, message: "" };
}
