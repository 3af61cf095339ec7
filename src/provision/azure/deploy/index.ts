// Apart from the stage's own index: what is here loads the client of Azure.
export { applyPlan, type ApplyResult } from "./apply.ts";
export { connectArm } from "./arm-client.ts";
export { type ArmPort, isAtWork, type ResourceProgress, type StackState } from "./arm-port.ts";
export { destroyStack, type Destruction, planDestroy } from "./destroy.ts";
export { NOISE_RULES } from "./noise.ts";
export {
  type Action,
  type Forecast,
  forecast,
  type ResourceChange,
  stackName,
  templateDigest,
} from "./plan.ts";
export { remedyFor, rootCauses } from "./remedies.ts";
export { holds, nameOfId, typeOfId } from "./resource-ids.ts";
export { type ResourceWords, resourceWords } from "./words.ts";
export { makePlan, parsePlan, type SavedPlan } from "./saved-plan.ts";
