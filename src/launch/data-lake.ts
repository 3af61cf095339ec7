import type { StoreAccess } from "../store/index.ts";
import type { LaunchRequest } from "./messages.ts";

/**
 * Who asks the data lakes of a job: the host's login, which the launcher is given with the job. It
 * opens nothing that is sealed: storage and its access are the host's business.
 */
export function storeAccessOf({ dataLake }: Pick<LaunchRequest, "dataLake">): StoreAccess {
  if (dataLake === undefined) return {};
  return {
    azure: async () => {
      // Only in the images of projects with data lakes.
      const { tokenAccess } = await import("../store/azure/token-access.ts");
      return tokenAccess(dataLake);
    },
  };
}
