//! Promise: what `deploy/` renders to is accepted by Kubernetes' own schemas, keeps what it promises of probes, ports and
//! rights, and holds configurations that `schemaward check` takes. Needs Helm, kustomize and kubeconform, see `scripts/manifests`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{fs, iter, path::Path, process::Command};

use schemaward::config::Config;
use support::require;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `scripts/manifests` says; an error where its tools are not installed and need not be.
fn judged() -> Result<String, String> {
    let required = std::env::var_os("SCHEMAWARD_REQUIRE_GO").is_some();
    let output = Command::new(root().join("scripts/manifests"))
        .args(["--binary", env!("CARGO_BIN_EXE_schemaward")])
        // Where nothing may be missing, it is installed.
        .args((!required).then_some("--installed"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .map_err(|error| format!("scripts/manifests: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    match output.status.code() {
        Some(0) => Ok(said),
        Some(77) if !required => Err(said),
        code => panic!("scripts/manifests: {code:?}\n{said}"),
    }
}

#[test]
fn every_rendered_manifest_is_sound() {
    require::python().unwrap();
    let judged = judged();
    let Some(said) = require::or_skip_unless(&["SCHEMAWARD_REQUIRE_GO"], &judged) else { return };
    assert!(said.contains("all manifests are sound"), "{said}");
}

#[test]
fn every_configuration_that_is_copied_from_here_is_sound() {
    let overlays = fs::read_dir(root().join("deploy/kustomize/overlays")).unwrap();
    let files: Vec<_> =
        overlays.map(|overlay| overlay.unwrap().path().join("schemaward.yaml")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let parsed = Config::parse(&text, &file.display().to_string(), iter::empty());
        let config = parsed.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.admin.probes_listen, Some("0.0.0.0:9465".parse().unwrap()));
    }
}
