//! Which stack is which.

use std::path::Path;

use percent_encoding::percent_decode_str;
use pulumi_automation::project_file;

/// What makes a backend this one and no other: kind, bucket or directory, and prefix. Regions, profiles and the like only say how
/// to reach it.
fn backend(url: &str) -> String {
    // Parts of the query that name a place.
    const PLACES: [&str; 4] = ["endpoint", "prefix", "storage_account", "domain"];
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = percent_decode_str(path).decode_utf8_lossy();
    let path = match scheme {
        "file" => directory(&path),
        _ => path.trim_end_matches('/').to_owned(),
    };
    let mut places: Vec<(&str, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| PLACES.contains(name))
        .map(|(name, value)| {
            (
                name,
                percent_decode_str(value)
                    .decode_utf8_lossy()
                    .trim_matches('/')
                    .to_owned(),
            )
        })
        .collect();
    places.sort();
    let places: Vec<String> = places
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!(
        "{}://{path}?{}",
        scheme.to_ascii_lowercase(),
        places.join("&")
    )
}

/// A directory without what `.`, `~`, doubled slashes and links add to its name.
fn directory(path: &str) -> String {
    let path = match (path.strip_prefix('~'), std::env::home_dir()) {
        (Some(below), Some(home)) => home.join(below.trim_start_matches('/')),
        _ => path.into(),
    };
    let real = std::fs::canonicalize(&path);
    let path = real.unwrap_or_else(|_| std::path::absolute(&path).unwrap_or(path));
    path.components()
        .collect::<std::path::PathBuf>()
        .display()
        .to_string()
}

/// What tells a stack from all others.
pub(super) fn identity(backend_url: &str, stack: &str) -> String {
    format!("{}#{stack}", backend(backend_url))
}

/// Whether two URLs lead to the same backend.
pub(super) fn same_backend(one: &str, other: &str) -> bool {
    backend(one) == backend(other)
}

/// The id of a stack.
pub(crate) fn id(backend_url: &str, stack: &str) -> String {
    format!("{backend_url}#{stack}")
}

/// Backend and full name from an id.
pub(super) fn parse_id(id: &str) -> Option<(&str, &str)> {
    id.rsplit_once('#')
        .filter(|(backend, stack)| backend.contains("://") && stack.split('/').count() == 3)
}

/// Project and stack of the program that declares the resource, from the resource's URN.
pub(super) fn of_urn(urn: &str) -> Option<(&str, &str)> {
    let mut parts = urn.strip_prefix("urn:pulumi:")?.split("::");
    let stack = parts.next()?;
    Some((parts.next()?, stack))
}

/// The backend of the outer run, as far as it can be told: the CLI does not say.
pub(super) fn outer_backend() -> Option<String> {
    let named = |url: String| (!url.is_empty()).then_some(url);
    if let Some(url) = std::env::var("PULUMI_BACKEND_URL").ok().and_then(named) {
        return Some(url);
    }
    let here = std::env::current_dir().ok()?;
    for folder in here.ancestors() {
        if let Some(file) = project_file(folder) {
            let text = std::fs::read_to_string(file).ok()?;
            return project_backend(&text).or_else(logged_in);
        }
    }
    logged_in()
}

fn project_backend(project: &str) -> Option<String> {
    let settings = pulumi_automation::yaml(project).ok()?;
    Some(settings.pointer("/backend/url")?.as_str()?.to_owned())
}

/// What `pulumi login` chose.
fn logged_in() -> Option<String> {
    let home = std::env::var_os("PULUMI_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".pulumi")))?;
    let text = std::fs::read_to_string(Path::new(&home).join("credentials.json")).ok()?;
    let credentials: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(credentials.get("current")?.as_str()?.to_owned())
}

/// The page of a stack in Pulumi Cloud.
pub(super) fn page(backend_url: &str, stack: &str) -> Option<String> {
    let host = backend_url.strip_prefix("https://")?.trim_end_matches('/');
    let host = host
        .strip_prefix("api.")
        .map_or_else(|| host.to_owned(), |rest| format!("app.{rest}"));
    Some(format!("https://{host}/{stack}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_places_not_texts() {
        let same = [
            (
                "s3://bucket?region=us-east-2",
                "s3://bucket/?region=us-east-1&awssdk=v2",
            ),
            ("s3://bucket/a/", "s3://bucket/a"),
            ("file:///nowhere/./x", "file:///nowhere//x/"),
            (
                "azblob://c?storage_account=a&domain=x",
                "azblob://c?domain=x&storage_account=a",
            ),
            ("https://api.pulumi.com", "https://api.pulumi.com/"),
        ];
        for (one, other) in same {
            assert!(same_backend(one, other), "{one} {other}");
        }
        let others = [
            ("s3://bucket", "s3://bucket2"),
            ("s3://bucket/a", "s3://bucket/b"),
            ("s3://bucket", "gs://bucket"),
            ("s3://bucket?endpoint=a:1", "s3://bucket?endpoint=b:1"),
            (
                "azblob://c?storage_account=a",
                "azblob://c?storage_account=b",
            ),
        ];
        for (one, other) in others {
            assert!(!same_backend(one, other), "{one} {other}");
        }
    }

    #[test]
    fn ids_urns_and_pages() {
        let url = "s3://b?region=x";
        assert_eq!(
            parse_id(&id(url, "organization/p/s")),
            Some((url, "organization/p/s"))
        );
        assert_eq!(parse_id("organization/p/s"), None);
        assert_eq!(
            of_urn("urn:pulumi:dev::shop::ptd:index:Stack::web"),
            Some(("shop", "dev"))
        );
        assert_eq!(
            page("https://api.pulumi.com", "o/p/s"),
            Some("https://app.pulumi.com/o/p/s".to_owned())
        );
        assert_eq!(page("file:///x", "o/p/s"), None);
    }
}
