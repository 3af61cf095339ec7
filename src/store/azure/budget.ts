/** Bounds what is under way at once, in bytes: first come, first served. */
export type Budget = {
  /** Waits until `bytes` are free; more than the whole budget waits for all of it. */
  readonly take: (bytes: number) => Promise<void>;
  readonly give: (bytes: number) => void;
};

/** Makes a budget of `total` bytes. */
export function makeBudget(total: number): Budget {
  let free = total;
  const waiting: { readonly bytes: number; readonly start: () => void }[] = [];
  const startNext = (): void => {
    for (let next = waiting[0]; next !== undefined && next.bytes <= free; next = waiting[0]) {
      waiting.shift();
      free -= next.bytes;
      next.start();
    }
  };
  return {
    take: (bytes) =>
      new Promise((resolve) => {
        waiting.push({ bytes: Math.min(bytes, total), start: resolve });
        startNext();
      }),
    give: (bytes) => {
      free += Math.min(bytes, total);
      startNext();
    },
  };
}
