import type { Asked } from "./access.ts";
import type { AdlsServices } from "./blob-service.ts";
import type { Namespace } from "./namespace.ts";
import type { StorageCall } from "./request.ts";

/** One call at the Data Lake endpoint, with who asks and where. */
export type DfsCall = StorageCall & {
  readonly services: AdlsServices;
  readonly asked: Asked;
  readonly namespace: Namespace;
};

/** What is answered: JSON where there is a body that is no bytes. */
export type DfsAnswer = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
};
