import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { rootCertificates } from "node:tls";
import { PpmlError, sha256, toBase64, toHex } from "../base/index.ts";
import type { Clock } from "../base/index.ts";
import { armService } from "./arm/arm-service.ts";
import type { ArmOptions } from "./arm/arm-service.ts";
import { createTwinAuthority } from "./authority.ts";
import { createManagedIdentityEndpoint } from "./entra/managed-identity.ts";
import { entraService, issuerService } from "./entra/service.ts";
import { FEDERATION_AUDIENCE, issueServiceAccountToken } from "./entra/service-account.ts";
import { ownerTokenFile, twinEnvironment } from "./environment.ts";
import type { TwinEnvironment } from "./environment.ts";
import { openTwin, OWNER_ISSUER, OWNER_SUBJECT } from "./first-start.ts";
import type { TwinIds } from "./first-start.ts";
import { openFrontAuthority } from "./front/certificates.ts";
import { interceptWithFaults, takeExpiredToken } from "./front/faults.ts";
import { openFront } from "./front/front.ts";
import type { Front, FrontOptions } from "./front/front.ts";
import { lockFolder } from "./lock.ts";
import type { RunningTwin } from "./lock.ts";
import { SIMULATION_ROOTS } from "./maa/service.ts";
import type { TwinBase, TwinService, TwinServiceMaker } from "./service.ts";
import { SERVICE_MAKERS } from "./services.ts";
import { openSigningKey } from "./signing-key.ts";
import { TwinState } from "./state.ts";

const TOKEN_FILE_MS = 24 * 3_600_000;
const RENEW_MS = TOKEN_FILE_MS / 4;

/** How a twin is started. */
export type TwinOptions = {
  /** Where its state is: made where it is missing. */
  readonly folder: string;
  readonly clock: Clock;
  /** Told one line of each refusal and of each failure of the double's own. */
  readonly log: (line: string) => void;
  /** What the first start in the folder takes; later ones keep what is there. */
  readonly ids?: TwinIds;
  /** Roots in DER of simulated platforms, whose Evidence Azure Attestation's double accepts. */
  readonly simulationRoots?: readonly Uint8Array[];
  /** How long each step of ARM's operations takes, in milliseconds (otherwise: no time). */
  readonly paceMs?: number;
  /** Microsoft's own type data on a resource of a template. @see ArmContext */
  readonly checkResource?: ArmOptions["checkResource"];
  /** In place of the services that ship; for tests. */
  readonly makers?: readonly TwinServiceMaker[];
};

/** A twin that runs in this process. */
export type Twin = {
  readonly base: TwinBase;
  readonly environment: TwinEnvironment;
  readonly running: RunningTwin;
  readonly tenantId: string;
  readonly subscriptionId: string;
  /** The names of the services that answer. */
  readonly services: readonly string[];
  readonly close: () => Promise<void>;
};

/**
 * Starts the double of Azure of a folder: its state, its services and its front on loopback.
 * @throws twin.held twin.state
 */
export async function startTwin(options: TwinOptions): Promise<Twin> {
  const folder = resolve(options.folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Private keys and tokens lie here: a repository around it is not to take them.
  writeFileSync(join(folder, ".gitignore"), "*\n");
  await using stack = new AsyncDisposableStack();
  const lock = stack.use(lockFolder(folder));
  const state = stack.use(TwinState.open(join(folder, "state.db")));
  const { clock, log } = options;
  const [key, twin] = await Promise.all([
    openSigningKey(state, "entra"),
    openTwin(state, { nowMs: clock(), ids: options.ids ?? {} }),
  ]);
  for (const root of options.simulationRoots ?? [])
    state.put(SIMULATION_ROOTS, toHex(sha256(root)), { root: toBase64(root) });
  const authority = createTwinAuthority({ state, key, clock });
  const entra = { state, key, clock, log, issuesExpired: () => takeExpiredToken(state) };
  const services: TwinService[] = [entraService(entra), issuerService(state)];
  const notify: TwinBase["notify"] = async (change) => {
    const added = await Promise.all(services.map(async (service) => service.onResource?.(change)));
    return Object.assign({}, ...added) as Readonly<Record<string, unknown>>;
  };
  const base: TwinBase = { state, authority, folder, clock, random, notify, log };
  const arm = { paceMs: options.paceMs ?? 0, checkResource: options.checkResource ?? null };
  for (const make of options.makers ?? [...SERVICE_MAKERS, armMaker(arm)]) {
    const service = await make(base);
    if (service === null) continue;
    services.push(service);
    stack.defer(() => service.close?.());
  }
  const identity = createManagedIdentityEndpoint({ ...entra, random });
  const front = await openFrontOn(lock.last, {
    authority: openFrontAuthority({
      folder: join(folder, "tls"),
      nowMs: clock(),
      roots: rootCertificates,
    }),
    services,
    direct: identity.handle,
    intercept: (service, exchange) =>
      interceptWithFaults(state, { service: service.name, ...exchange }),
    log,
  });
  stack.defer(front.close);
  await keepOwnerToken(base, stack);
  const running = {
    pid: process.pid,
    proxyPort: front.proxyPort,
    tlsPort: front.tlsPort,
    identityHeader: identity.secret,
  };
  lock.announce(running);
  const disposables = stack.move();
  return {
    base,
    environment: twinEnvironment({
      folder,
      proxyPort: front.proxyPort,
      tenantId: twin.tenantId,
      subscriptionId: twin.subscriptionId,
      clientId: twin.ownerClientId,
    }),
    running,
    tenantId: twin.tenantId,
    subscriptionId: twin.subscriptionId,
    services: services.map(({ name }) => name),
    close: () => disposables.disposeAsync(),
  };
}

/** ARM last: it goes on at once with what was cut off, and tells the others. */
function armMaker(options: ArmOptions): TwinServiceMaker {
  return (base) => armService(base, options);
}

function random(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length));
}

/** On the ports of the last start where they are free, so that programs that run find the twin again. */
async function openFrontOn(
  last: RunningTwin | null,
  options: Omit<FrontOptions, "ports">,
): Promise<Front> {
  const any = { proxy: 0, tls: 0 };
  if (last === null) return openFront({ ...options, ports: any });
  try {
    return await openFront({ ...options, ports: { proxy: last.proxyPort, tls: last.tlsPort } });
  } catch {
    return openFront({ ...options, ports: any });
  }
}

/** Writes the owner's federated token, and again before it ends. */
async function keepOwnerToken(base: TwinBase, stack: AsyncDisposableStack): Promise<void> {
  const path = ownerTokenFile(base.folder);
  const write = async (): Promise<void> => {
    const nowMs = base.clock();
    const token = await issueServiceAccountToken(base.state, {
      issuer: OWNER_ISSUER,
      subject: OWNER_SUBJECT,
      audience: FEDERATION_AUDIENCE,
      nowMs,
      expiresMs: nowMs + TOKEN_FILE_MS,
    });
    const made = `${path}.${process.pid}`;
    writeFileSync(made, token, { mode: 0o600 });
    renameSync(made, path);
  };
  try {
    await write();
  } catch (cause) {
    throw new PpmlError("twin.state", `${path} cannot be written`, { cause });
  }
  const timer = setInterval(
    () => void write().catch((error: unknown) => base.log(`owner's token: ${String(error)}`)),
    RENEW_MS,
  );
  timer.unref();
  stack.defer(() => clearInterval(timer));
}
