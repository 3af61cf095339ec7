import { ATTEST_TARGETS } from "./attest-targets.ts";
import { COLLECT_TARGETS } from "./collect-targets.ts";
import { HARDWARE_TARGETS } from "./hardware-targets.ts";
import { DCAP_TARGETS } from "./dcap-targets.ts";
import { GUEST_TARGETS } from "./guest-targets.ts";
import { MESSAGE_TARGETS } from "./message-targets.ts";
import { PARQUET_TARGETS } from "./parquet-targets.ts";
import { SEALED_FILE_TARGETS } from "./sealed-file-targets.ts";
import { STATE_TARGETS } from "./state-targets.ts";
import { TOKEN_TARGETS } from "./token-targets.ts";
import type { FuzzTarget } from "./target.ts";

/** Every target, group by group: a new parser gets its own here. */
export const TARGETS: readonly FuzzTarget[] = [
  ...SEALED_FILE_TARGETS,
  ...PARQUET_TARGETS,
  ...GUEST_TARGETS,
  ...MESSAGE_TARGETS,
  ...ATTEST_TARGETS,
  ...HARDWARE_TARGETS,
  ...COLLECT_TARGETS,
  ...DCAP_TARGETS,
  ...STATE_TARGETS,
  ...TOKEN_TARGETS,
];
