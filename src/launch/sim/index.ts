export { bootSimulatedTee, type TeeExit } from "./boot.ts";
export { measureImage, type MeasuredImage, TEE_NODE_FLAGS } from "./image.ts";
export type { ImageFile } from "./image-transfer.ts";
export { type ImagePlan, planImage } from "./image-plan.ts";
export { buildSnapshot, type Snapshot } from "./snapshot.ts";
