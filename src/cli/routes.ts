import type { CommandDefinition } from "./command.ts";

/** A command: its brief for the help of its parent, and its file, which is loaded only when used. */
export type CommandRoute = {
  readonly brief: string;
  readonly load: () => Promise<{ readonly command: CommandDefinition }>;
};

/** A noun with the commands and nouns below it. */
export type NounRoute = { readonly brief: string; readonly commands: Routes };

/** Commands and nouns by their names. */
export type Routes = Readonly<Record<string, CommandRoute | NounRoute>>;

/**
 * All commands, in the order of the help. A command `a b` lives in commands/a/b.ts; a test holds
 * that. The briefs are here so that `ppml --help` loads no command.
 */
export const ROUTES: Routes = {
  init: {
    brief: "Start a project: ppml.yaml, a vault, keys, an example",
    load: () => import("./commands/init.ts"),
  },
  doctor: {
    brief: "Check this machine and project, or its TEE, with a remedy for each finding",
    load: () => import("./commands/doctor.ts"),
  },
  key: {
    brief: "Make, rotate and destroy KEKs; make TLS and enclave keys, and passwords",
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
      "fix-policy": {
        brief: "Fix the release policy of an exportable KEK for ever",
        load: () => import("./commands/key/fix-policy.ts"),
      },
      backup: {
        brief: "Write an encrypted copy of the vault",
        load: () => import("./commands/key/backup.ts"),
      },
      restore: {
        brief: "Put the vault back to a backup",
        load: () => import("./commands/key/restore.ts"),
      },
      enclave: {
        brief: "Make the key that signs SGX enclaves",
        load: () => import("./commands/key/enclave.ts"),
      },
      tls: {
        brief: "Make a TLS key, its certificate and keystores",
        load: () => import("./commands/key/tls.ts"),
      },
      password: {
        brief: "Make a password, or look at one",
        load: () => import("./commands/key/password.ts"),
      },
    },
  },
  data: {
    brief: "Seal, open and look at datasets",
    commands: {
      seal: {
        brief: "Seal datasets and sign their manifests",
        load: () => import("./commands/data/seal.ts"),
      },
      open: {
        brief: "Open a dataset as its owner",
        load: () => import("./commands/data/open.ts"),
      },
      accept: {
        brief: "Take over the result of a job that ran without a broker",
        load: () => import("./commands/data/accept.ts"),
      },
      rewrap: {
        brief: "Move sealed data to the current versions of its KEKs",
        load: () => import("./commands/data/rewrap.ts"),
      },
      put: {
        brief: "Seal files on their way into a dataset's store",
        load: () => import("./commands/data/put.ts"),
      },
      mkfs: {
        brief: "Make a filesystem of a data lake",
        load: () => import("./commands/data/mkfs.ts"),
      },
      mkdir: {
        brief: "Make a directory of a data lake, and say who may what in it",
        load: () => import("./commands/data/mkdir.ts"),
      },
      rm: {
        brief: "Delete files and directories of a data lake",
        load: () => import("./commands/data/rm.ts"),
      },
      ls: {
        brief: "List the datasets and what is stored of them, or a place",
        load: () => import("./commands/data/ls.ts"),
      },
      verify: {
        brief: "Compare stored data with its signed manifest",
        load: () => import("./commands/data/verify.ts"),
      },
      inspect: {
        brief: "Show what a sealed file or table says without a key",
        load: () => import("./commands/data/inspect.ts"),
      },
    },
  },
  job: {
    brief: "Sign what may run, and look at it",
    commands: {
      sign: {
        brief: "Sign a job with the owner's key",
        load: () => import("./commands/job/sign.ts"),
      },
      show: { brief: "Show what a signed job says", load: () => import("./commands/job/show.ts") },
    },
  },
  policy: {
    brief: "Decide who gets which keys when",
    commands: {
      draft: {
        brief: "Write a policy's file from the project's jobs",
        load: () => import("./commands/policy/draft.ts"),
      },
      check: {
        brief: "Look for what is wrong in a policy",
        load: () => import("./commands/policy/check.ts"),
      },
      explain: {
        brief: "Say in plain words who gets which keys",
        load: () => import("./commands/policy/explain.ts"),
      },
      stage: {
        brief: "Add a reference set that is looked at, not accepted yet",
        load: () => import("./commands/policy/stage.ts"),
      },
      promote: {
        brief: "Accept a staged reference set",
        load: () => import("./commands/policy/promote.ts"),
      },
      expire: {
        brief: "Give a reference set an end",
        load: () => import("./commands/policy/expire.ts"),
      },
      remove: {
        brief: "Take a reference set out",
        load: () => import("./commands/policy/remove.ts"),
      },
      references: {
        brief: "Show the reference sets of a file",
        load: () => import("./commands/policy/references.ts"),
      },
      "dry-run": {
        brief: "Say which past attestations a policy would refuse",
        load: () => import("./commands/policy/dry-run.ts"),
      },
      apply: {
        brief: "Sign policies and put them in force",
        load: () => import("./commands/policy/apply.ts"),
      },
    },
  },
  attest: {
    brief: "Evidence of TEEs: verify it, explain it, compare it",
    commands: {
      verify: {
        brief: "Verify Evidence, and appraise it by a policy",
        load: () => import("./commands/attest/verify.ts"),
      },
      explain: {
        brief: "Show what Evidence says, claim by claim, and what stands against it",
        load: () => import("./commands/attest/explain.ts"),
      },
      diff: {
        brief: "Show in which claims two pieces of Evidence differ",
        load: () => import("./commands/attest/diff.ts"),
      },
    },
  },
  enclave: {
    brief: "The measured image of a TEE",
    commands: {
      measure: {
        brief: "Print what the simulated TEE measures of this installation",
        load: () => import("./commands/enclave/measure.ts"),
      },
    },
  },
  up: {
    brief: "Make in Azure what ppml.yaml says: plan, ask, apply",
    load: () => import("./commands/up.ts"),
  },
  aks: {
    brief: "The Kubernetes cluster in Azure",
    commands: {
      credentials: {
        brief: "Write the cluster's kubeconfig, without any secret",
        load: () => import("./commands/aks/credentials.ts"),
      },
    },
  },
  azure: {
    brief: "Azure's resources: plan them, make them, look at them, remove them",
    commands: {
      plan: {
        brief: "Show what applying would change",
        load: () => import("./commands/azure/plan.ts"),
      },
      apply: {
        brief: "Do what a saved plan says",
        load: () => import("./commands/azure/apply.ts"),
      },
      status: {
        brief: "Show what was made, and how it is",
        load: () => import("./commands/azure/status.ts"),
      },
      cost: {
        brief: "Say what a month costs, by a price table with its date",
        load: () => import("./commands/azure/cost.ts"),
      },
      destroy: {
        brief: "Delete what was made, keys and data only where named",
        load: () => import("./commands/azure/destroy.ts"),
      },
      export: {
        brief: "Print the template, for ARM or Terraform",
        load: () => import("./commands/azure/export.ts"),
      },
    },
  },
  run: { brief: "Run a signed job in a TEE", load: () => import("./commands/run.ts") },
  sql: {
    brief: "Run one query in a TEE and show its rows",
    load: () => import("./commands/sql.ts"),
  },
  receipt: {
    brief: "Proofs of releases and results",
    commands: {
      list: {
        brief: "List the project's receipts",
        load: () => import("./commands/receipt/list.ts"),
      },
      verify: {
        brief: "Verify a receipt offline, from the pinned roots",
        load: () => import("./commands/receipt/verify.ts"),
      },
    },
  },
  audit: {
    brief: "The log of every decision and result",
    commands: {
      accept: {
        brief: "Accept the broker's state after a backup of it was restored",
        load: () => import("./commands/audit/accept.ts"),
      },
      tail: { brief: "Show the last entries", load: () => import("./commands/audit/tail.ts") },
      verify: {
        brief: "Check that the log was neither cut nor rewritten",
        load: () => import("./commands/audit/verify.ts"),
      },
    },
  },
  broker: {
    brief: "Serve releases over the network, and keep resources for attested guests",
    commands: {
      serve: {
        brief: "Listen on TCP with TLS 1.3, until it is stopped",
        load: () => import("./commands/broker/serve.ts"),
      },
      resource: {
        brief: "Secrets that attested guests get without a job",
        commands: {
          put: {
            brief: "Seal a file as a resource",
            load: () => import("./commands/broker/resource/put.ts"),
          },
          list: {
            brief: "List the resources",
            load: () => import("./commands/broker/resource/list.ts"),
          },
          remove: {
            brief: "Remove a resource",
            load: () => import("./commands/broker/resource/remove.ts"),
          },
        },
      },
    },
  },
  twin: {
    brief: "A local double of Azure: SIMULATED, to try and to rehearse",
    commands: {
      up: {
        brief: "Start the double on loopback, until it is stopped",
        load: () => import("./commands/twin/up.ts"),
      },
      exec: {
        brief: "Run a program with the double in Azure's place",
        load: () => import("./commands/twin/exec.ts"),
      },
      env: {
        brief: "Print the double's environment for a shell",
        load: () => import("./commands/twin/env.ts"),
      },
      status: {
        brief: "Say whether the double runs, and what it knows",
        load: () => import("./commands/twin/status.ts"),
      },
      fault: {
        brief: "Make the double's next answers fail",
        load: () => import("./commands/twin/fault.ts"),
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

/** Every command of `routes` with its path, in the order of the help. */
export function commandsOf(
  routes: Routes = ROUTES,
  above: readonly string[] = [],
): readonly { readonly path: readonly string[]; readonly brief: string }[] {
  return Object.entries(routes).flatMap(([name, route]) => {
    const path = [...above, name];
    return isNoun(route) ? commandsOf(route.commands, path) : [{ path, brief: route.brief }];
  });
}
