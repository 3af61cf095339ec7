import { once } from "node:events";
import { lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { PpmlError } from "../base/index.ts";

/** A Unix socket's path has to fit `sockaddr_un`: 107 bytes on Linux, 103 on macOS. */
const MAX_SOCKET_PATH_BYTES = 103;
const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT_MS = 60_000;

/** A broker that listens; `close` ends it and its open connections. */
export type Listener = { readonly close: () => Promise<void> };

/**
 * Lets the broker listen on a Unix socket. Its folder has to be ours and closed to everyone else
 * (0700): the socket's own mode does not count on every system. A dead broker's socket is replaced.
 * @throws broker.state
 */
export async function listenOnSocket(app: Hono, socketPath: string): Promise<Listener> {
  const folder = dirname(socketPath);
  requirePrivateFolder(folder, { missing: `mkdir -m 700 '${folder}'` });
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES)
    throw refused(
      socketPath,
      `a socket's path has at most ${MAX_SOCKET_PATH_BYTES} bytes: set TMPDIR to a folder with a shorter one`,
    );
  await removeDeadSocket(socketPath);
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS / 2 },
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(socketPath);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw refused(socketPath, "it cannot be listened on: set TMPDIR to a folder of a local disk", {
      cause,
    });
  }
  return {
    close: async () => {
      const closed = once(server, "close");
      server.close();
      if ("closeAllConnections" in server) server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * Refuses a folder that others may enter, that is somebody else's, or that is a link.
 * @throws broker.state with the command that mends it
 */
export function requirePrivateFolder(
  folder: string,
  remedy: { /** What to do where it is missing, or no folder. */ readonly missing: string },
): void {
  let stat: ReturnType<typeof lstatSync>;
  try {
    stat = lstatSync(folder);
  } catch (cause) {
    throw refused(folder, "the folder is missing", { cause, remedy: remedy.missing });
  }
  if (!stat.isDirectory())
    throw refused(folder, "it is not a folder (nor may it be a link)", { remedy: remedy.missing });
  if (stat.uid !== process.getuid?.())
    throw refused(folder, "it belongs to somebody else: run ppml as the user whose it is");
  if ((stat.mode & 0o077) !== 0)
    throw refused(folder, `others may enter it: run chmod 700 '${folder}'`);
}

async function removeDeadSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket())
    throw refused(path, "another kind of file has the socket's name: remove it");
  if (await answers(path)) throw refused(path, "another broker listens there: stop it first");
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function refused(
  path: string,
  what: string,
  more: { readonly cause?: unknown; readonly remedy?: string } = {},
): PpmlError {
  const { cause, remedy } = more;
  const detail = { path, ...(remedy === undefined ? {} : { remedy }) };
  return new PpmlError("broker.state", `${path}: ${what}`, { detail, cause });
}
