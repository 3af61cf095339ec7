import { once } from "node:events";
import { resolve } from "node:path";
import { PpmlError } from "../../../base/index.ts";
import type { CollateralSetting, ProcessConfig } from "../../../broker/index.ts";
import { startBroker } from "../../broker-process.ts";
import type { ReadyLine, StartedBroker } from "../../broker-process.ts";
import { collateralFlags, collateralSetting } from "../../collateral-flags.ts";
import type { CollateralFlags } from "../../collateral-flags.ts";
import { defineCommand } from "../../command.ts";
import { loadProject } from "../../config/load.ts";
import type { Project } from "../../config/load.ts";
import type { CliContext } from "../../context.ts";
import { parseHostPort } from "../../host-port.ts";
import type { HostPort } from "../../host-port.ts";
import { parseResourcePath } from "../../resource-argument.ts";
import { renderFields } from "../../output/table.ts";
import { vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";

type Flags = VaultFlags &
  CollateralFlags & {
    readonly listen: HostPort;
    readonly tlsCert?: string;
    readonly tlsKey?: string;
    readonly secretProvisioning?: HostPort;
    readonly secretResource?: string;
    readonly logLevel?: ProcessConfig["logLevel"];
  };

/** `ppml broker serve`: the project's broker on TCP with TLS 1.3, until it is stopped. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      listen: {
        kind: "parsed",
        parse: parseHostPort,
        brief: "Where to listen; port 0 takes a free one",
        placeholder: "HOST:PORT",
      },
      tlsCert: {
        kind: "parsed",
        parse: String,
        brief: "Certificate in PEM, its chain behind it (otherwise: a self-signed one is made)",
        placeholder: "FILE",
        optional: true,
      },
      tlsKey: {
        kind: "parsed",
        parse: String,
        brief: "The certificate's private key in PEM, mode 0600",
        placeholder: "FILE",
        optional: true,
      },
      ...collateralFlags,
      secretProvisioning: {
        kind: "parsed",
        parse: parseHostPort,
        brief: "Where Gramine's unmodified clients get the secret of --secret-resource",
        placeholder: "HOST:PORT",
        optional: true,
      },
      secretResource: {
        kind: "parsed",
        parse: parseResourcePath,
        brief: "The resource that they get, at most 4096 bytes",
        placeholder: "PATH",
        optional: true,
      },
      logLevel: {
        kind: "enum",
        values: ["silent", "error", "warn", "info", "debug"],
        brief: "What the broker's own log on stderr holds (otherwise: info)",
        optional: true,
      },
      ...vaultFlags,
    },
  },
  description:
    "Jobs (/v1) and CoCo's guests (/kbs/v0) are served alike, over TLS 1.3 only. A self-signed\n" +
    "certificate is kept in .ppml/tls; clients pin the SHA-256 of its key, which is printed. SIGTERM and\n" +
    "SIGINT end it: calls under way have ten seconds. With --json, one line of JSON says that it listens.",
  async run(context, flags) {
    const project = await loadProject({ cwd: context.cwd, folder: flags.project });
    const collateral = collateralSetting(project, { ...flags, cwd: context.cwd });
    const listen = listenSetting(project, { ...flags, cwd: context.cwd });
    const started = startBroker(
      { project, passphraseFile: flags.passphraseFile },
      { listen, collateral, logLevel: flags.logLevel ?? "info" },
    );
    const line = await started.ready;
    const end = waitForEnd(started);
    await context.write(readyText(context, { line, collateral, isJson: flags.json === true }));
    await end;
    return { data: null, human: () => "", written: true };
  },
});

/** Until a signal comes, and then until the broker ended. @throws broker.unavailable where it ends by itself */
async function waitForEnd(started: StartedBroker): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  const signals = [once(process, "SIGTERM", { signal }), once(process, "SIGINT", { signal })];
  const exited = started.exited.then(() => "exited" as const);
  const first = await Promise.race([...signals.map((one) => one.catch(() => null)), exited]);
  ended.abort();
  if (first !== "exited") return started.stop();
  throw new PpmlError("broker.unavailable", "the broker ended by itself; its log says why");
}

function listenSetting(
  project: Project,
  flags: Flags & { readonly cwd: string },
): ProcessConfig["listen"] {
  const { tlsCert, tlsKey, cwd } = flags;
  const { host, port } = flags.listen;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new PpmlError("cli.usage", "--tls-cert and --tls-key belong together: give both or none");
  const certificate =
    tlsCert === undefined || tlsKey === undefined
      ? ({ kind: "own", folder: project.resolve(".ppml/tls") } as const)
      : ({
          kind: "files",
          certificate: resolve(cwd, tlsCert),
          key: resolve(cwd, tlsKey),
        } as const);
  const { secretProvisioning: place, secretResource: resource } = flags;
  if ((place === undefined) !== (resource === undefined))
    throw new PpmlError(
      "cli.usage",
      "--secret-provisioning and --secret-resource belong together: give both or none",
    );
  const secretProvisioning =
    place === undefined || resource === undefined ? null : { ...place, resource };
  return { kind: "tls", host, port, certificate, secretProvisioning };
}

function readyText(
  context: CliContext,
  options: {
    readonly line: ReadyLine;
    readonly collateral: CollateralSetting;
    readonly isJson: boolean;
  },
): string {
  const { line, collateral, isJson } = options;
  if (isJson) return `${JSON.stringify(line)}\n`;
  return renderFields(
    [
      ["listening on", line.url ?? ""],
      ["mode", line.mode === "simulation" ? "simulation: nothing is protected" : line.mode],
      ["key to pin", `sha256 ${line.spkiSha256 ?? ""}`],
      ...(typeof line.secretProvisioning === "string"
        ? [["Gramine's clients", line.secretProvisioning] as const]
        : []),
      [
        "collateral",
        collateral.kind === "none"
          ? "as it is sent, with AMD's own authorities"
          : `from ${collateral.kind}`,
      ],
    ],
    context.style,
  );
}
