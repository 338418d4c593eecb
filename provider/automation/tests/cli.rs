//! Against the real CLI, with self-managed backends in directories.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pulumi_automation::{
    Cli, Environment, Error, Location, Run, Settings, Stack, Tool, Until, is_secret,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const STACK: &str = "organization/inner/dev";
const SECRET: &str = "s3cr3t-\"value\"-0123456789";
const PROGRAM: &str = "
name: inner
runtime: yaml
config:
  password: {type: string}
  size: {type: integer, default: 1}
variables:
  hidden: {fn::secret: '${password}'}
outputs:
  size: ${size}
  password: ${hidden}
  deep: {list: [1, '${hidden}']}
";

struct Place(TempDir);

impl Place {
    fn new(program: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for folder in ["backend", "project", "home"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        fs::write(place.path("project/Pulumi.yaml"), program).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn environment(&self) -> Environment {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin");
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(tools).chain(std::env::split_paths(&paths));
        Environment::inherit(["HOME"])
            .with("PATH", std::env::join_paths(all).unwrap())
            .with("PULUMI_HOME", self.path("home"))
            .with("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    }

    fn backend(&self) -> String {
        format!("file://{}", self.path("backend").display())
    }

    async fn stack(&self) -> Stack {
        self.stack_with(self.environment(), &self.backend()).await
    }

    async fn stack_with(&self, environment: Environment, backend: &str) -> Stack {
        let cli = Cli::find(environment)
            .await
            .expect("pulumi on PATH or in .tools: run `make tools`");
        let location = Location::new(backend, STACK).unwrap();
        Stack::open(cli, location, self.path("project"))
            .await
            .unwrap()
    }

    /// What the CLI says in the project's directory, as to a person.
    async fn by_hand(&self, arguments: &[&str]) -> String {
        let environment = self
            .environment()
            .with("PULUMI_BACKEND_URL", self.backend());
        let tool = Tool::find("pulumi", environment).await.unwrap();
        let all = arguments.iter().copied().chain(["--stack", STACK]);
        let until = Until::default();
        let ended = tool.run(&self.path("project"), all, &until).await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        String::from_utf8(ended.stdout).unwrap()
    }

    /// All files of the backend, by relative path.
    fn files(&self, below: &str) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let (mut found, root) = (Vec::new(), self.path(below));
        walk(&root, &root, &mut found);
        found.sort();
        found
    }

    fn holds(&self, below: &str, text: &str) -> bool {
        let file = |name: &String| {
            String::from_utf8_lossy(&fs::read(self.path(below).join(name)).unwrap()).into_owned()
        };
        self.files(below)
            .iter()
            .any(|name| file(name).contains(text))
    }
}

#[tokio::test]
async fn a_stack_from_nothing_to_nothing() {
    let place = Place::new(PROGRAM);
    let mut stack = place.stack().await;
    assert!(!stack.exists().await.unwrap());
    let absent = stack.preview(&Run::default(), |_| {}).await.unwrap_err();
    assert!(matches!(absent, Error::NoStack { .. }), "{absent}");

    assert!(!stack.ensure(None).await.unwrap());
    assert!(stack.exists().await.unwrap());
    assert!(matches!(
        stack.create(None).await,
        Err(Error::StackExists { .. })
    ));
    stack.settings_mut().set("inner:size", 3);
    stack
        .set_secret("inner:password", SECRET.to_owned().into())
        .await
        .unwrap();
    assert!(
        stack
            .settings()
            .get("inner:password")
            .unwrap()
            .get("secure")
            .is_some()
    );

    let planned = stack.preview(&Run::default(), |_| {}).await.unwrap();
    assert_eq!(planned.changes.resource_changes["create"], 1);
    let mut seen = Vec::new();
    let run = Run {
        message: Some("first".to_owned()),
        ..Run::default()
    };
    let done = stack
        .up(&run, |event| seen.push(event.sequence))
        .await
        .unwrap();
    assert!(seen.len() > 3 && seen.is_sorted(), "{seen:?}");
    assert!(done.changes.has_changes());
    let outputs = done.outputs.unwrap();
    assert!(
        is_secret(&outputs["password"]) && is_secret(&outputs["deep"]),
        "{outputs:?}"
    );
    assert_eq!(outputs["size"], json!(3));
    let values = stack.outputs().await.unwrap();
    assert_eq!(values["password"], json!(SECRET));
    assert_eq!(values["deep"], json!({"list": [1, SECRET]}));

    let again = stack.up(&Run::default(), |_| {}).await.unwrap();
    assert!(!again.changes.has_changes(), "{again:?}");
    let history = stack.history(10).await.unwrap();
    assert_eq!(
        history
            .iter()
            .filter(|update| update.message == "first" && update.result == "succeeded")
            .count(),
        1
    );

    let state = stack.export().await.unwrap();
    stack.import(&state).await.unwrap();
    assert!(stack.refresh(&Run::default(), |_| {}).await.is_ok());

    let kept = stack.settings().clone();
    drop(stack);
    // The encrypted settings are good for the next time.
    let mut stack = place.stack().await;
    *stack.settings_mut() = kept;
    assert!(
        !stack
            .up(&Run::default(), |_| {})
            .await
            .unwrap()
            .changes
            .has_changes()
    );

    // Without them, the state tells how it is encrypted, whether that is asked for or not.
    let before = Settings::of_state(&stack.export().await.unwrap());
    for asked in [true, false] {
        stack = place.stack().await;
        if asked {
            assert!(stack.ensure(Some("passphrase")).await.unwrap());
        }
        stack.settings_mut().set("inner:size", 3);
        stack
            .set_secret("inner:password", SECRET.to_owned().into())
            .await
            .unwrap();
        let again = stack.up(&Run::default(), |_| {}).await.unwrap();
        assert!(!again.changes.has_changes());
        assert_eq!(Settings::of_state(&stack.export().await.unwrap()), before);
    }

    stack.destroy(&Run::default(), |_| {}).await.unwrap();
    stack.remove().await.unwrap();
    assert!(!stack.exists().await.unwrap());
    assert_eq!(place.files("project"), ["Pulumi.yaml"]);
    assert!(!place.holds("backend", "s3cr3t"), "a secret in the backend");
}

#[tokio::test]
async fn a_secret_keeps_all_its_lines() {
    let place = Place::new("name: inner\nruntime: yaml\n");
    let mut stack = place.stack_with(old(&place), &place.backend()).await;
    stack.create(None).await.unwrap();
    assert!(stack.history(1).await.unwrap().is_empty());
    let values = ["", "\n", "one\ntwo", "one\n", "one\n\n", "one\r\n", " one "];
    for (index, value) in values.iter().enumerate() {
        let key = format!("inner:k{index}");
        stack
            .set_secret(&key, (*value).to_owned().into())
            .await
            .unwrap();
    }
    let file = place.path("project/Pulumi.dev.yaml");
    fs::write(file, stack.settings().to_text()).unwrap();
    let told = place.by_hand(&["config", "--json", "--show-secrets"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    for (index, value) in values.iter().enumerate() {
        assert_eq!(told[format!("inner:k{index}")]["value"], *value);
    }
}

#[tokio::test]
async fn nothing_is_written_by_looking() {
    let place = Place::new(PROGRAM);
    let mut stack = place.stack().await;
    stack.settings_mut().set("inner:password", "x");
    assert!(!stack.exists().await.unwrap());
    let _ = stack.outputs().await.unwrap_err();
    let files = place.files("backend");
    assert!(
        files.iter().all(|name| !name.contains("inner")),
        "{files:?}"
    );
}

#[tokio::test]
async fn settings_in_the_project_are_read_and_never_written() {
    let place = Place::new(PROGRAM);
    let file = place.path("project/Pulumi.dev.yaml");
    let text = "config:\n  size: 7\n  inner:password: from-the-file\n";
    fs::write(&file, text).unwrap();
    let mut stack = place.stack().await;
    stack.create(None).await.unwrap();
    let done = stack.up(&Run::default(), |_| {}).await.unwrap();
    assert_eq!(done.outputs.unwrap()["size"], json!(7));
    stack.settings_mut().set("inner:size", 8);
    assert_eq!(stack.settings().config().count(), 2);
    let done = stack.up(&Run::default(), |_| {}).await.unwrap();
    assert_eq!(done.outputs.unwrap()["size"], json!(8));
    stack.destroy(&Run::default(), |_| {}).await.unwrap();
    stack.remove().await.unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), text);
}

/// Of all that YAML may mean by a value, the CLI has its own choice.
#[tokio::test]
async fn values_mean_what_they_mean_to_the_cli() {
    let place = Place::new("name: inner\nruntime: yaml\n");
    let mut stack = place.stack().await;
    stack.create(None).await.unwrap();
    let values = "[y, yes, True, Off, 'on', 0123, 012345678901, 089, 0o14, 0x1F, 1_000, 1.10, 1e3, 1.0, .5, +7, 0b11, !!str 5, 12:30, \
                  12345678901234567890, 123456789012345678901234567890, ~, '', 'true', 0.1e-7, -0, 0.10e+2]";
    let settings = format!("config:\n  all: {values}\n");
    let ours = Settings::parse(&settings).unwrap().to_text();
    let mut found = Vec::new();
    for text in [settings, ours] {
        fs::write(place.path("project/Pulumi.dev.yaml"), text).unwrap();
        let told = place.by_hand(&["config", "get", "all"]).await;
        found.push(serde_json::from_str::<Vec<Value>>(&told).unwrap());
    }
    assert_eq!(found[0], found[1]);
}

/// Wherever the CLI by hand finds them.
#[tokio::test]
async fn settings_are_found_where_the_cli_finds_them() {
    let yaml = "name: inner\nruntime: yaml\n";
    let json = json!({"name": "inner", "runtime": "yaml", "stackConfigDir": "stacks"});
    for (file, text, settings) in [
        ("Pulumi.yml", yaml.to_owned(), "Pulumi.dev.yml"),
        ("Pulumi.json", json.to_string(), "stacks/Pulumi.dev.json"),
        (
            "Pulumi.yaml",
            format!("{yaml}stackConfigDir: ../stacks\n"),
            "../stacks/Pulumi.dev.yaml",
        ),
        (
            "Pulumi.yaml",
            format!("{yaml}config: /stacks\n"),
            "stacks/Pulumi.dev.yaml",
        ),
    ] {
        let place = Place::new("");
        let project = place.path("project");
        fs::remove_file(project.join("Pulumi.yaml")).unwrap();
        fs::write(project.join(file), text).unwrap();
        let program = "configuration: {size: {type: integer}}\noutputs: {size: '${size}'}\n";
        fs::write(project.join("Main.yaml"), program).unwrap();
        let settings = project.join(settings);
        fs::create_dir_all(settings.parent().unwrap()).unwrap();
        fs::write(&settings, r#"{"config": {"inner:size": 7}}"#).unwrap();
        let mut stack = place.stack().await;
        stack.create(None).await.unwrap();
        let done = stack.up(&Run::default(), |_| {}).await.unwrap();
        assert_eq!(done.outputs.unwrap()["size"], json!(7), "{settings:?}");
        assert_eq!(place.by_hand(&["config", "get", "size"]).await, "7\n");
        // A directory below belongs to the project too.
        let below = project.join("below");
        fs::create_dir(&below).unwrap();
        let cli = Cli::find(place.environment()).await.unwrap();
        let location = Location::new(&place.backend(), STACK).unwrap();
        let stack = Stack::open(cli, location, below).await.unwrap();
        assert_eq!(stack.settings().get("inner:size"), Some(&json!(7)));
    }
}

#[tokio::test]
async fn a_failing_program_is_told_with_its_resource() {
    let place = Place::new("name: inner\nruntime: yaml\noutputs:\n  a: ${nothing.there}\n");
    let mut stack = place.stack().await;
    stack.create(None).await.unwrap();
    let error = stack.up(&Run::default(), |_| {}).await.unwrap_err();
    let Error::Failed { outcome, .. } = &error else {
        panic!("{error}")
    };
    assert!(!outcome.errors.is_empty());
    assert!(error.to_string().contains("nothing"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_lock_is_told_with_its_holder_and_can_be_freed() {
    let place = Place::new("name: inner\nruntime: yaml\n");
    let mut stack = place.stack().await;
    stack.create(None).await.unwrap();
    let locks = place.path("backend/.pulumi/locks/organization/inner/dev");
    fs::create_dir_all(&locks).unwrap();
    let lock = json!({"pid": 17, "username": "somebody", "hostname": "elsewhere", "timestamp": "2026-01-02T03:04:05Z"});
    fs::write(locks.join("0.json"), lock.to_string()).unwrap();
    let error = stack.up(&Run::default(), |_| {}).await.unwrap_err();
    let Error::Locked { locks, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (locks[0].pid, locks[0].user.as_str(), locks[0].host.as_str()),
        (17, "somebody", "elsewhere")
    );
    stack.cancel().await.unwrap();
    stack.up(&Run::default(), |_| {}).await.unwrap();
}

#[tokio::test]
async fn half_a_lock_can_be_removed() {
    let place = Place::new("name: inner\nruntime: yaml\n");
    let mut stack = place.stack().await;
    assert_eq!(stack.remove_half_locks().await.unwrap(), 0);
    stack.create(None).await.unwrap();
    let locks = place.path("backend/.pulumi/locks/organization/inner/dev");
    fs::create_dir_all(&locks).unwrap();
    let half = fs::File::create(locks.join("0.json.17.tmp")).unwrap();
    half.set_modified(SystemTime::now() - Duration::from_mins(1))
        .unwrap();
    let error = stack.up(&Run::default(), |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::HalfLocked { .. }), "{error}");
    assert_eq!(stack.remove_half_locks().await.unwrap(), 1);
    stack.up(&Run::default(), |_| {}).await.unwrap();
}

#[tokio::test]
async fn an_installation_can_be_cancelled() {
    let place = Place::new("name: inner\nruntime: yaml\n");
    let mut stack = place.stack().await;
    stack.install(&CancellationToken::new()).await.unwrap();
    let body = format!(
        "case $1 in version) echo v3.259.0;; install) echo $$ >{}; exec sleep 600;; *) exit 1;; esac",
        place.path("home/pids").display()
    );
    let fake = script(&place.path("pulumi"), &body);
    let cli = Cli::at(fake, place.environment()).await.unwrap();
    let location = stack.location().clone();
    stack = Stack::open(cli, location, place.path("project"))
        .await
        .unwrap();
    let cancel = CancellationToken::new();
    let (ended, pids) = tokio::join!(stack.install(&cancel), async {
        let pids = pids(&place).await;
        cancel.cancel();
        pids
    });
    let error = ended.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Cancelled {
                operation: "install",
                killed: false,
                ..
            }
        ),
        "{error}"
    );
    assert!(!lives(&pids[0]));
}

#[tokio::test]
async fn each_obstacle_has_its_own_error() {
    let place = Place::new("name: inner\nruntime: yaml\n");
    let mut stack = place.stack().await;
    stack.create(None).await.unwrap();
    let settings = stack.settings().clone();

    let wrong = place
        .environment()
        .with("PULUMI_CONFIG_PASSPHRASE", "wrong");
    let mut other = place.stack_with(wrong, &place.backend()).await;
    *other.settings_mut() = settings;
    let error = other.up(&Run::default(), |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Secrets { .. }), "{error}");

    let both = Run {
        targets: vec!["urn:a".to_owned()],
        excludes: vec!["urn:b".to_owned()],
        ..Run::default()
    };
    let error = stack.up(&both, |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");

    let mut nowhere = place
        .stack_with(place.environment(), "file:///nowhere/at/all")
        .await;
    let error = nowhere.up(&Run::default(), |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Backend { .. }), "{error}");

    fs::remove_file(place.path("project/Pulumi.yaml")).unwrap();
    let error = stack.up(&Run::default(), |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Project { .. }), "{error}");

    let empty = place.environment().with("PATH", place.path("home"));
    assert!(matches!(Cli::find(empty).await, Err(Error::Missing { .. })));
    let old = script(&place.path("home/pulumi"), "echo v3.10.0");
    assert!(matches!(
        Cli::at(old, place.environment()).await,
        Err(Error::TooOld { .. })
    ));
}

fn script(path: &Path, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// The CLI without what came to it after the oldest version that will do.
fn old(place: &Place) -> Environment {
    let environment = place.environment();
    let path = environment.get("PATH").unwrap().to_owned();
    let pulumi = std::env::split_paths(&path)
        .map(|folder| folder.join("pulumi"))
        .find(|file| file.exists())
        .unwrap();
    let bin = place.path("old");
    fs::create_dir(&bin).unwrap();
    let newer = r#"for flag; do case $flag in --raw|--output) echo "unknown flag: $flag" >&2; exit 1;; esac; done"#;
    let run = format!("{newer}\nexec {} \"$@\"", pulumi.display());
    script(&bin.join("pulumi"), &run);
    let all = std::iter::once(bin).chain(std::env::split_paths(&path));
    environment.with("PATH", std::env::join_paths(all).unwrap())
}

/// A language host that starts a child and does not end by itself.
fn hanging(place: &Place) -> Environment {
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    let mark = place.path("home/pids");
    script(
        &bin.join("pulumi-language-hang"),
        &format!(
            "trap '' INT; sleep 600 & echo $! $$ > {}; wait",
            mark.display()
        ),
    );
    let path = place.environment().get("PATH").unwrap().to_owned();
    let all = std::iter::once(bin).chain(std::env::split_paths(&path));
    place
        .environment()
        .with("PATH", std::env::join_paths(all).unwrap())
}

async fn pids(place: &Place) -> Vec<String> {
    for _ in 0..600 {
        let text = fs::read_to_string(place.path("home/pids")).unwrap_or_default();
        if text.ends_with('\n') {
            return text.split_whitespace().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the language host was not started");
}

fn lives(pid: &str) -> bool {
    // A process that has ended and waits to be asked for its status lives no more.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn what_is_cancelled_ends_with_all_its_processes() {
    let place = Place::new("name: inner\nruntime: hang\n");
    let mut stack = place.stack_with(hanging(&place), &place.backend()).await;
    stack.create(None).await.unwrap();
    let run = Run {
        grace: Duration::from_millis(300),
        ..Run::default()
    };
    let cancel = run.cancel.clone();
    let (ended, pids) = tokio::join!(stack.up(&run, |_| {}), async {
        let pids = pids(&place).await;
        cancel.cancel();
        pids
    });
    let error = ended.unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert!(pids.iter().all(|pid| !lives(pid)), "{pids:?}");
}

#[tokio::test]
async fn what_takes_too_long_or_is_dropped_ends_too() {
    let place = Place::new("name: inner\nruntime: hang\n");
    let mut stack = place.stack_with(hanging(&place), &place.backend()).await;
    stack.create(None).await.unwrap();
    let run = Run {
        grace: Duration::from_millis(300),
        timeout: Some(Duration::from_secs(1)),
        ..Run::default()
    };
    let start = Instant::now();
    let error = stack.up(&run, |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));

    let place = Place::new("name: inner\nruntime: hang\n");
    let mut stack = place.stack_with(hanging(&place), &place.backend()).await;
    stack.create(None).await.unwrap();
    let run = Run::default();
    let found = tokio::select! {
        ended = stack.up(&run, |_| {}) => panic!("{ended:?}"),
        pids = pids(&place) => pids,
    };
    for _ in 0..200 {
        if found.iter().all(|pid| !lives(pid)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("still alive: {found:?}");
}
