/** The Rust crate dcap-qvl on the same cases: a program of its own, built where caches are kept. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The crate's version that the vectors' verdicts come from. */
export const DCAP_QVL_VERSION = "0.7.1";

const CARGO_TOML = `[package]
name = "bench-dcap-qvl"
version = "0.0.0"
edition = "2021"
publish = false

[dependencies]
dcap-qvl = { version = "=${DCAP_QVL_VERSION}", default-features = false, features = ["std", "ring", "default-x509"] }
hex = "0.4"
serde_json = "1"

[profile.release]
lto = "fat"
codegen-units = 1
`;

/** Reads the cases, then verifies all of them as many times as it is told; any refusal fails it. */
const MAIN_RS = `use dcap_qvl::{configs::RingConfig, verify::QuoteVerifier, QuoteCollateralV3};
use serde_json::Value;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let rounds: usize = args[2].parse().unwrap();
    let cases: Value = serde_json::from_slice(&std::fs::read(&args[1]).unwrap()).unwrap();
    let cases: Vec<_> = cases.as_array().unwrap().iter().map(parse).collect();
    for _ in 0..rounds {
        for (verifier, quote, collateral, now) in &cases {
            verifier.verify(quote, collateral, *now).unwrap();
        }
    }
}

fn parse(case: &Value) -> (QuoteVerifier<RingConfig>, Vec<u8>, QuoteCollateralV3, u64) {
    let c = &case["collateral"];
    let text = |name: &str| c[name].as_str().unwrap().to_string();
    let bytes = |name: &str| hex::decode(c[name].as_str().unwrap()).unwrap();
    let collateral = QuoteCollateralV3 {
        pck_crl_issuer_chain: text("pck_crl_issuer_chain"),
        root_ca_crl: bytes("root_ca_crl"),
        pck_crl: bytes("pck_crl"),
        tcb_info_issuer_chain: text("tcb_info_issuer_chain"),
        tcb_info: text("tcb_info"),
        tcb_info_signature: bytes("tcb_info_signature"),
        qe_identity_issuer_chain: text("qe_identity_issuer_chain"),
        qe_identity: text("qe_identity"),
        qe_identity_signature: bytes("qe_identity_signature"),
        pck_certificate_chain: None,
    };
    let decode = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
    let verifier = QuoteVerifier::<RingConfig>::new_with_config(decode("root"));
    (verifier, decode("quote"), collateral, case["now"].as_u64().unwrap())
}
`;

/** How the program is built: as fast as we know how, or by the profile that the crate releases itself with. */
export type Profile = "fastest" | "own";

/** The crate's Cargo.toml, `[profile.release]`: its published bindings for other languages are built so. */
const OWN_PROFILE = {
  CARGO_PROFILE_RELEASE_OPT_LEVEL: "z",
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_PANIC: "abort",
};

/**
 * Builds the program with cargo, in the folder for caches; once built, that is quick.
 * @returns its path
 * @throws Error where there is no cargo, or the crate cannot be had
 */
export function buildDcapQvl(profile: Profile): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "ppml", "bench-dcap-qvl");
  mkdirSync(join(folder, "src"), { recursive: true });
  writeFileSync(join(folder, "Cargo.toml"), CARGO_TOML);
  writeFileSync(join(folder, "src", "main.rs"), MAIN_RS);
  const target = join(folder, profile === "own" ? "target-own" : "target");
  execFileSync("cargo", ["build", "--release", "--quiet", "--target-dir", target], {
    cwd: folder,
    stdio: "inherit",
    env: { ...process.env, ...(profile === "own" ? OWN_PROFILE : {}) },
  });
  return join(target, "release", "bench-dcap-qvl");
}
