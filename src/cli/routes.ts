import type { CommandDefinition } from "./command.ts";

/** A command: its brief for the help of its parent, and its file, which is loaded only when used. */
export type CommandRoute = {
  readonly brief: string;
  readonly load: () => Promise<{ readonly command: CommandDefinition }>;
};

/** A noun with the commands below it. */
export type NounRoute = {
  readonly brief: string;
  readonly commands: Readonly<Record<string, CommandRoute>>;
};

/**
 * All commands, in the order of the help. A command `a b` lives in commands/a/b.ts; a test holds
 * that. The briefs are here so that `ppml --help` loads no command.
 */
export const ROUTES: Readonly<Record<string, CommandRoute | NounRoute>> = {
  init: {
    brief: "Start a project: ppml.yaml, a vault, keys, an example",
    load: () => import("./commands/init.ts"),
  },
  doctor: {
    brief: "Check this machine and project, with a remedy for each finding",
    load: () => import("./commands/doctor.ts"),
  },
  key: {
    brief: "Make, rotate and destroy the KEKs of the project's vault",
    commands: {
      create: { brief: "Make a KEK", load: () => import("./commands/key/create.ts") },
      list: { brief: "List the KEKs", load: () => import("./commands/key/list.ts") },
      show: {
        brief: "Show one KEK and its versions",
        load: () => import("./commands/key/show.ts"),
      },
      export: {
        brief: "Print a KEK's public half, for sealing elsewhere",
        load: () => import("./commands/key/export.ts"),
      },
      rotate: {
        brief: "Make a new version of a KEK; sealing uses it from now on",
        load: () => import("./commands/key/rotate.ts"),
      },
      disable: {
        brief: "Stop the use of a KEK, or of one version",
        load: () => import("./commands/key/disable.ts"),
      },
      enable: {
        brief: "Allow the use of a KEK, or of one version, again",
        load: () => import("./commands/key/enable.ts"),
      },
      destroy: {
        brief: "Destroy a KEK, or one old version, for ever",
        load: () => import("./commands/key/destroy.ts"),
      },
    },
  },
  completion: {
    brief: "Print a shell's completion script",
    load: () => import("./commands/completion.ts"),
  },
};

/** Tells whether a route has commands below it. */
export function isNoun(route: CommandRoute | NounRoute): route is NounRoute {
  return "commands" in route;
}
