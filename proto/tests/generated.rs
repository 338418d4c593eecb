//! The committed code in `src/gen` must be what the protos generate.
//!
//! Run with `UPDATE=1` to rewrite it after editing a proto. Nothing here needs a `protoc` binary.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

/// Every proto compiled into the crate, relative to the crate's root.
const PROTOS: [&str; 12] = [
    "google/rpc/status.proto",
    "pulumi/alias.proto",
    "pulumi/callback.proto",
    "pulumi/codegen/loader.proto",
    "pulumi/codegen/mapper.proto",
    "pulumi/engine.proto",
    "pulumi/errors.proto",
    "pulumi/plugin.proto",
    "pulumi/provider.proto",
    "pulumi/resource.proto",
    "pulumi/resource_status.proto",
    "pulumi/source.proto",
];

fn generate(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(PROTOS, [root])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        // A sorted map makes encoded messages, and so recorded calls, reproducible.
        .btree_map(".")
        .emit_rerun_if_changed(false)
        .out_dir(out)
        .compile_fds(descriptors)?;
    Ok(())
}

fn rust_files(dir: &Path) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // A Windows checkout may have turned the line ends.
            files.insert(name, fs::read_to_string(&path)?.replace("\r\n", "\n"));
        }
    }
    Ok(files)
}

#[test]
fn committed_code_is_current() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed_dir = root.join("src/gen");
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pulumi-proto-gen");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    generate(root, &scratch)?;

    let fresh = rust_files(&scratch)?;
    let committed = rust_files(&committed_dir)?;
    let stale: Vec<&str> = fresh
        .keys()
        .chain(committed.keys().filter(|name| !fresh.contains_key(*name)))
        .filter(|name| fresh.get(*name) != committed.get(*name))
        .map(String::as_str)
        .collect();

    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        for name in stale {
            match fresh.get(name) {
                Some(text) => fs::write(committed_dir.join(name), text)?,
                None => fs::remove_file(committed_dir.join(name))?,
            }
        }
        return Ok(());
    }
    assert!(
        stale.is_empty(),
        "stale in proto/src/gen: {}; rewrite with UPDATE=1 cargo test -p pulumi-proto --test generated",
        stale.join(", ")
    );
    Ok(())
}

#[test]
fn every_proto_is_compiled() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut dirs = vec![root.join("pulumi"), root.join("google")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push(
                    path.strip_prefix(root)?
                        .to_string_lossy()
                        .replace('\\', "/"),
                );
            }
        }
    }
    found.sort();
    assert_eq!(found, PROTOS);
    Ok(())
}
