//! Whole targets, from files to values.

mod decoding;
mod fixtures;
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{AwsWorkloadSpec, LoadErrors, Target, load};

/// A targets directory that goes away with the test.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ptd-target-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn load(&self, name: &str) -> Result<Target, LoadErrors> {
        load(&self.0, name)
    }

    /// What is wrong, without the directory that differs in each run.
    fn faults(&self, name: &str) -> Vec<String> {
        let text = self.load(name).unwrap_err().to_string();
        let prefix = format!("{}/", self.0.display());
        text.lines()
            .map(|line| {
                line.replace(&prefix, "")
                    .replace(&self.0.display().to_string(), ".")
            })
            .collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FILE: &str = "__work__/t-staging/ptd.yaml";

/// A tree with one AWS workload `t-staging`, whose `spec` is `spec`.
fn aws_tree(spec: &str) -> Tree {
    let indented: Vec<String> = spec.lines().map(|line| format!("  {line}")).collect();
    let indented = indented.join("\n");
    let tree = Tree::new();
    tree.write(
        FILE,
        &format!("apiVersion: posit.team/v1\nkind: AWSWorkloadConfig\nspec:\n{indented}"),
    );
    tree
}

fn aws_target(spec: &str) -> Target {
    aws_tree(spec)
        .load("t-staging")
        .unwrap_or_else(|error| panic!("{spec}\n{error}"))
}

fn aws(spec: &str) -> AwsWorkloadSpec {
    aws_target(spec).aws.unwrap()
}

fn faults(spec: &str) -> Vec<String> {
    aws_tree(spec).faults("t-staging")
}

/// The warnings about `spec`, file name taken off.
fn warnings(spec: &str) -> Vec<String> {
    aws_target(spec)
        .warnings
        .iter()
        .map(|line| {
            line.strip_prefix(&format!("{FILE}:"))
                .unwrap_or(line)
                .to_owned()
        })
        .collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/target/testdata/targets")
}
