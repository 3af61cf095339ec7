/**
 * Every error code with the sentence that docs/errors.md shows for it: what happened, and what to do.
 * A code is `stage.what`. `npm run generate` writes docs/errors.md from this table.
 */
export const ERROR_CODES = {
  // base
  "base.invalid_encoding": "Text is not the hex, base64 or UTF-8 that its place demands.",
  "base.out_of_bounds": "Bytes end before the structure that they should hold.",
  "base.io":
    "The operating system refused a file, folder or process: free space, rights or the path are wrong.",
  "base.internal": "A state that the code rules out was reached: report it with the message.",

  // format
  "format.invalid": "Bytes or JSON do not have the form that docs/format.md gives.",
  "format.unsupported": "The form is known but this version does not read it.",
  "format.too_large": "A length or count in the input is over the bound of docs/format.md.",
  "format.signature": "A signed object's signature is not valid for any accepted signer.",
  "format.expired": "A signed object is past its expiry.",

  // key
  "key.not_found": "The vault has no KEK of that id or version.",
  "key.exists": "The vault already has a KEK of that name.",
  "key.disabled": "The KEK is disabled: enable it, or ask its owner.",
  "key.destroyed": "The KEK was destroyed: nothing wrapped under it can be opened again.",
  "key.in_use": "Stored objects are still wrapped under this KEK version: re-wrap them first.",
  "key.unwrap_failed": "The wrapped key was not made for this KEK version, or was changed.",
  "key.not_permitted": "The KEK does not allow this operation.",
  "key.vault_locked": "The vault's root key or passphrase is missing or wrong.",
  "key.vault_mode": "The vault's mode (simulation or production) does not allow this.",
  "key.vault_invalid": "The vault's file is not a ppml vault, or was changed.",
  "key.backup": "The file is not a backup of this vault, or was changed.",
  "key.vault_exists": "A vault already exists there.",
  "key.vault_missing": "No vault exists there.",
  "key.vault_io":
    "The vault's or a key's file could not be read or written, or is held by another process.",
  "key.public_key":
    "The public key is not one to wrap for: RSA of 3072 bits or more, exponent 65537, its own version.",

  // store
  "store.not_found": "The store has no object of that name.",
  "store.exists": "The store already has an object of that name.",
  "store.conflict": "The object changed since it was read: read it again and repeat.",
  "store.name": "The name is not allowed: relative, without empty, '.' or '..' parts.",
  "store.io": "The store could not be read or written.",

  // seal
  "seal.input": "The data to seal cannot be read, or is not what its kind demands.",
  "seal.plan": "The dataset's column groups do not fit the data's columns.",

  // open
  "open.not_authentic":
    "The data is not what was sealed: a wrong key, or changed, cut, mixed or foreign bytes.",
  "open.manifest": "The stored files are not those that the signed manifest lists.",
  "open.rolled_back": "The manifest is older than the lowest version that the release allows.",
  "open.plaintext": "A plaintext file lies where the manifest lists a sealed one.",
  "open.no_key": "No released key opens this column group or file.",

  // attest
  "attest.invalid": "The Evidence does not have the form that its type demands.",
  "attest.not_verified": "The Evidence's signature or certificate chain does not verify.",
  "attest.collateral":
    "The collateral is missing, out of date, or not of this platform or provider: fetch it again.",
  "attest.revoked": "A certificate or the platform's TCB was revoked by its vendor.",
  "attest.unsupported": "The Evidence's type is not known here.",
  "attest.denied":
    "The Evidence is one whose private key was published: anybody can use it, it proves nothing.",
  "attest.unprotected":
    "The Evidence is genuine, and the TEE does not keep its host out: it can be debugged, profiled or moved. Or another Verifier's genuine result contraindicates its attester.",
  "attest.simulated": "Simulated Evidence came where only hardware is accepted.",
  "attest.unavailable": "No TEE answers on this machine.",
  "attest.fetch":
    "A service that gives collateral or quotes does not answer, refuses, or sends something else.",
  "attest.platform": "The simulated platform's folder is missing, exists already or is not valid.",

  // release
  "release.denied": "The policy does not allow this release; the outcomes say which claim.",
  "release.nonce": "The nonce is unknown, spent or too old: ask for a new challenge.",
  "release.binding": "The Evidence does not bind this job, nonce and keys.",
  "release.job": "The policy does not approve this job.",
  "release.not_granted": "The policy does not grant a KEK that the request needs.",
  "release.policy": "No policy of that name is in force, or it is not valid.",
  "release.owner": "The owner's request is not signed by a key that the policy names.",
  "release.response": "The broker's answer is not signed and encrypted as the protocol demands.",

  // broker
  "broker.invalid_request": "The request does not have the form that docs/protocol.md gives.",
  "broker.unavailable": "The broker does not answer.",
  "broker.state": "The broker's database is not what it should be.",
  "broker.busy": "Too many challenges are open at the broker: try again later.",
  "broker.resource":
    "The resource is not newer than the one that the broker has, or the broker has too many.",
  "broker.session":
    "The guest's session is unknown, over, or has not attested: begin with /kbs/v0/auth again.",
  "broker.floor": "The manifest is not newer than the one that the broker knows of this dataset.",

  // compute
  "compute.sql": "The database engine refused the query; its own message follows.",
  "compute.not_a_query": "A query of the job is not exactly one SELECT statement.",
  "compute.column": "The query uses a column that the job does not list.",
  "compute.memory": "The job reached its memory limit.",
  "compute.timeout": "The job reached its time limit.",
  "compute.worker": "The worker ended without a result.",

  // launch
  "launch.environment": "The launcher's environment or command line is not clean.",
  "launch.job": "The job is not what was signed, or cannot be run here.",
  "launch.isolation": "The isolation that the mode demands is not available on this machine.",
  "launch.image":
    "The image to launch cannot be measured or copied: a file is missing, or is not one that an image may hold.",
  "launch.failed": "The TEE process ended before it answered.",

  // provision
  "provision.exists":
    "Keys lie there already and are not written over, or the folder holds other files.",
  "provision.io": "A file of keys could not be written.",
  "provision.input":
    "A subject, a server's name, a key or a file that a template needs is not what it should be.",
  "provision.password":
    "The password breaks the rule (7 or more characters, letters and digits), or cannot be read.",
  "provision.rule":
    "A template breaks one of ppml's own rules: the message names rule and resource.",
  "provision.plan_invalid": "The file is not a plan of this version, or was changed.",
  "provision.plan_stale":
    "What Azure would change now is not what the plan says: look at a new plan.",
  "provision.not_activated":
    "The project file says of a Managed HSM that it is activated, and it is not: the message has the commands.",
  "provision.failed": "The deployment failed: the message names each resource and what to do.",
  "provision.busy": "Another deployment of the same resources is running.",
  "provision.protected": "Keys or data would be deleted that were not named.",

  // receipt
  "receipt.invalid": "The receipt does not prove what it claims.",
  "receipt.log": "The transparency log was cut, rewritten or does not hold the entry.",

  // azure
  "azure.login": "There is no valid login at Azure, or it has expired.",
  "azure.denied": "Azure does not allow the call: a role is missing, or the network is closed.",
  "azure.not_found": "Azure does not have what was named.",
  "azure.conflict": "Somebody else changed it at the same moment, or its name is taken.",
  "azure.throttled": "Azure's limit of calls is reached, and the retries did not help.",
  "azure.unreachable":
    "Azure does not answer: no network, no such name, or a certificate that is not trusted.",
  "azure.failed": "Azure refused or failed; its own message follows.",

  // twin
  "twin.held": "Another process runs a twin in this folder.",
  "twin.state": "The twin's folder or its state cannot be used.",
  "twin.fault": "A fault on demand is not described as it must be.",
  "twin.missing": "No twin runs in this folder.",

  // cli and configuration
  "config.invalid": "ppml.yaml is not valid; the message names file, line and fix.",
  "config.missing": "No ppml.yaml was found here or in a folder above.",
  "cli.usage": "The command line is not valid.",
  "cli.exists": "The file or folder exists and would be overwritten.",
  "cli.output": "The result could not be written to standard output.",
  "cli.cancelled": "The person at the terminal did not agree.",
} as const;

/** One of the error codes of docs/errors.md. */
export type ErrorCode = keyof typeof ERROR_CODES;
