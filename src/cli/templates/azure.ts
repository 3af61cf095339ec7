import type { Template } from "./template.ts";

/** A project for Azure: its vault is a Key Vault, its data lies in a data lake, `ppml azure` makes both. */
export function azureTemplate(): Template {
  return {
    vaultUrl: "https://my-vault.vault.azure.net",
    sections: SECTIONS,
    files: { "data/in/example.csv": "id,text\n1,an example\n" },
    copies: {},
    keks: [],
    next: [
      "read ppml.yaml: the names, and in Azure the ids, are to be yours",
      "ppml twin exec -- ppml azure plan",
    ],
  };
}

const SECTIONS = `
# What ppml azure makes. Leave a part out, and it is not made; name one that is there already by
# "existing:", its id or its name in the group.
azure:
  # For a rehearsal in the double any ids do. Yours: az account show --query "{id:id, tenant:tenantId}"
  subscription: 11111111-2222-4333-8444-555555555555
  tenant: 99999999-8888-4777-8666-555555555555
  transport: environment # the double is reached by HTTPS_PROXY; in Azure take this line out
  region: eastus2
  resourceGroup: bigdl-rg
  operators: # who makes keys, puts secrets and data: az ad signed-in-user show --query id
    - objectId: aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee
  vm: # the client, a confidential VM
    count: 0 # 1, once there is the key: ssh-keygen -t ed25519 -f .ppml/client
    sshPublicKeyFile: .ppml/client.pub
  aks: # confidential nodes; profile: sgx for enclaves
    nodeCount: 3
  storage:
    account: mydatalake # unique in all of Azure, as the names of vault and provider are
    filesystem: sealed
  keyVault:
    name: my-vault # the same as in vault.url above
    keks:
      input: { use: unwrap-only }
  attestation:
    name: myattest
  logAnalytics: {} # audit logs of vault, storage and cluster
  identities: # of pods, by their service account: no passwords
    broker: { role: broker, namespace: ppml, serviceAccount: broker, keks: [input] }
    spark:
      namespace: default
      serviceAccount: spark
      data: write
      secrets: [enclave-key-pem, key-pass]

# What is sealed. Only ciphertext reaches the data lake.
datasets:
  documents:
    source: data/in
    store: abfss://sealed@mydatalake.dfs.core.windows.net/documents
    kind: file
    groups:
      - { name: all, kek: input }

policies: {}
jobs: {}
`;
