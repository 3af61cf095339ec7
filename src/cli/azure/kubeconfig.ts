import { fromBase64, fromUtf8, PpmlError } from "../../base/index.ts";
import { parseDocument } from "yaml";
import { z } from "zod";

const answerSchema = z.object({
  kubeconfigs: z.array(z.object({ value: z.string() })).min(1),
});

/** Members of a user in a kubeconfig that are secrets: no login of a person's is in them. */
const SECRETS = ["client-key-data", "client-certificate-data", "token", "password"];

const kubeconfigSchema = z.looseObject({
  clusters: z.array(z.looseObject({ cluster: z.looseObject({ server: z.string() }) })).min(1),
  users: z.array(z.looseObject({ user: z.looseObject({}) })),
  "current-context": z.string(),
});

/**
 * The kubeconfig of AKS's answer, and its server. It holds no secret: whoever uses it logs in to
 * Entra ID by kubelogin. One that does is refused, because the cluster then has local accounts.
 * @throws azure.failed provision.protected
 */
export function parseKubeconfig(answer: unknown): {
  readonly text: string;
  readonly server: string;
  readonly contextName: string;
} {
  const parsed = answerSchema.safeParse(answer);
  const value = parsed.data?.kubeconfigs[0]?.value;
  if (value === undefined)
    throw new PpmlError("azure.failed", "AKS's answer has no kubeconfig: try again");
  const text = fromUtf8(fromBase64(value));
  const content: unknown = parseDocument(text).toJS();
  const config = kubeconfigSchema.safeParse(content);
  if (!config.success)
    throw new PpmlError("azure.failed", "AKS's kubeconfig is not in the form of one: try again");
  const { users, clusters, "current-context": contextName } = config.data;
  const found = users.flatMap(({ user }) => SECRETS.filter((name) => name in user));
  if (found.length > 0)
    throw new PpmlError(
      "provision.protected",
      `the cluster's kubeconfig holds ${found.join(", ")}: it has local accounts, which nobody can be taken out of. Turn them off: az aks update --disable-local-accounts`,
    );
  return { text, server: clusters[0]?.cluster.server ?? "", contextName };
}
