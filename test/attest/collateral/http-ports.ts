import type { HttpPorts } from "../../../src/attest/collateral/http.ts";
import { NOW_MS } from "../fixture.ts";

/** Ports that reach a hono app of ours whatever the host, with a clock that pauses advance at once. */
export type FakePorts = HttpPorts & {
  readonly pauses: number[];
  readonly urls: string[];
  /** Moves the clock. */
  readonly advance: (ms: number) => void;
};

/** An app, or anything that answers requests. */
export function portsOf(app: {
  request: (url: string, init: RequestInit) => Response | Promise<Response>;
}): FakePorts {
  const pauses: number[] = [];
  const urls: string[] = [];
  let nowMs = NOW_MS;
  return {
    pauses,
    urls,
    advance: (ms) => {
      nowMs += ms;
    },
    fetch: async (url, init) => {
      urls.push(url);
      return app.request(url, init);
    },
    now: () => nowMs,
    random: () => 0.5,
    pause: async (ms) => {
      pauses.push(ms);
      nowMs += ms;
    },
  };
}
