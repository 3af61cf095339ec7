const SQLITE_BUSY = 5;

/**
 * Takes the operating system's lock on a file, which is made where it is missing; null where another
 * process has it. SQLite's lock is used, because Node has no flock: the kernel drops it however the
 * process ends. Nothing is ever written to the file.
 * Rejects with SQLite's own error where the file cannot be used.
 */
export async function tryFileLock(path: string): Promise<Disposable | null> {
  // Loaded here: most commands lock nothing.
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return { [Symbol.dispose]: () => database.close() };
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) return null;
    throw error;
  }
}
