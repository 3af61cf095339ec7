import { pino } from "pino";
import { isPpmlError } from "../base/index.ts";
import type { BrokerLogger } from "./broker-app.ts";

/** Levels of the broker's process log. */
export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The broker's process log: JSON lines on stderr, of these fields only; never a body. */
export function createBrokerLogger(level: LogLevel): BrokerLogger {
  const log = pino({ level, base: null }, pino.destination({ fd: 2, sync: true }));
  return {
    call: ({ method, path, status, code, durationMs }) => {
      log.info({ method, path, status, code, durationMs }, "call");
    },
    failure: (error) => {
      const code = isPpmlError(error) ? error.code : null;
      const { name, message } = error instanceof Error ? error : { name: "unknown", message: "" };
      log.error({ code, name, reason: message }, "failure");
      if (error instanceof Error) log.debug({ stack: error.stack }, "failure");
    },
  };
}
