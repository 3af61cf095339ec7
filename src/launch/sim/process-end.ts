const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const actions = new Set<() => void>();

/**
 * Runs `action` (synchronous) when this process exits or is told to by a signal, until it is disposed
 * of. A signal that nobody else listens to still ends the process as it would have.
 */
export function onProcessEnd(action: () => void): Disposable {
  if (actions.size === 0) {
    process.on("exit", runAll);
    for (const signal of SIGNALS) process.on(signal, onSignal);
  }
  actions.add(action);
  return {
    [Symbol.dispose]: () => {
      if (actions.delete(action) && actions.size === 0) uninstall();
    },
  };
}

function onSignal(signal: NodeJS.Signals): void {
  runAll();
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

function runAll(): void {
  const all = [...actions];
  actions.clear();
  uninstall();
  for (const action of all)
    try {
      action();
    } catch {
      // The process ends: one failed clean-up must not keep the others from theirs.
    }
}

function uninstall(): void {
  process.off("exit", runAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}
