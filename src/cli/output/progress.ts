/** Shows how far a step is; dispose it when the step ends, whatever its end. */
export type Progress = Disposable & {
  /** Tells how much is done now, in the unit of `total`. */
  readonly update: (done: number) => void;
};

/** Where progress is shown, and by which clock. */
export type ProgressPort = {
  readonly write: (text: string) => void;
  readonly isTty: boolean;
  /** Width of the terminal in columns. */
  readonly columns: number;
  readonly now: () => number;
};

const SHOW_AFTER_MS = 1000;
const REDRAW_MS = 100;
const BAR_COLUMNS = 24;
const CLEAR_LINE = "\r\u001b[2K";

/**
 * Begins a step. Nothing is shown in its first second; then a bar on a terminal (gone when the step
 * ends), or one line where stderr is not a terminal. Without `total` the bar is elapsed time alone.
 */
export function startProgress(
  port: ProgressPort,
  step: { readonly label: string; readonly total?: number },
): Progress {
  const startedMs = port.now();
  let done = 0;
  let isShown = false;
  let drawnMs = 0;

  const draw = () => {
    const nowMs = port.now();
    if (nowMs - startedMs < SHOW_AFTER_MS) return;
    if (!port.isTty) {
      if (!isShown) port.write(`${step.label} ...\n`);
    } else if (nowMs - drawnMs >= REDRAW_MS) {
      drawnMs = nowMs;
      const text = barText({ ...step, done, elapsedMs: nowMs - startedMs });
      port.write(CLEAR_LINE + text.slice(0, Math.max(10, port.columns - 1)));
    } else return;
    isShown = true;
  };

  // The timer draws for steps that are silent for long; it must not keep the process alive.
  const timer = setInterval(draw, 250);
  timer.unref();
  return {
    update: (value) => {
      done = value;
      draw();
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
      if (isShown && port.isTty) port.write(CLEAR_LINE);
    },
  };
}

function barText(state: {
  readonly label: string;
  readonly total?: number;
  readonly done: number;
  readonly elapsedMs: number;
}): string {
  const seconds = `${Math.floor(state.elapsedMs / 1000)} s`;
  if (state.total === undefined || state.total <= 0) return `${state.label}  ${seconds}`;
  const part = Math.min(1, Math.max(0, state.done / state.total));
  const filled = Math.round(part * BAR_COLUMNS);
  const bar = "#".repeat(filled) + "-".repeat(BAR_COLUMNS - filled);
  const percent = `${Math.floor(part * 100)}%`.padStart(4);
  return `${state.label}  [${bar}] ${percent}  ${seconds}`;
}
