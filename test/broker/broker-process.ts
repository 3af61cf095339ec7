import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Fixture } from "./fixture.ts";

type Ready = { readonly ready: boolean; readonly error?: { readonly code: string } };

/** Starts the broker's own process with a configuration, and gives the line that it says first. */
export async function startBroker(
  config: Readonly<Record<string, unknown>>,
): Promise<{ readonly child: ChildProcess; readonly ready: Ready }> {
  const main = join(import.meta.dirname, "../../src/broker/main.ts");
  const child = spawn(process.execPath, [main], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin?.write(`${JSON.stringify(config)}\n`);
  assert.ok(child.stdout);
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return { child, ready: JSON.parse(line) as Ready };
}

/** The fixture's broker, on a socket. */
export function socketConfigOf(fixture: Fixture, path: string): Record<string, unknown> {
  return {
    v: 1,
    listen: { kind: "socket", path },
    collateral: { kind: "none" },
    stateDir: join(fixture.dir, "broker"),
    vault: { kind: "embedded", path: join(fixture.dir, "vault.db") },
    rootKeyFile: join(fixture.dir, "root.key"),
    maaProviders: [],
    logLevel: "silent",
  };
}
