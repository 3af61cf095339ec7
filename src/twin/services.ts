import { blobService, dfsService } from "./adls/service.ts";
import { graphService } from "./entra/graph-service.ts";
import { keyVaultService } from "./keyvault/service.ts";
import { maaService } from "./maa/service.ts";
import type { TwinServiceMaker } from "./service.ts";

/** Makers of the services beside Entra ID and ARM, which every twin has. Each stands here by one line. */
export const SERVICE_MAKERS: readonly TwinServiceMaker[] = [
  blobService,
  dfsService,
  graphService,
  keyVaultService,
  maaService,
];
