//! Single requests: what is waited for, repeated, renewed and read.

use std::time::Duration;

use azure_core::http::Url;
use serde_json::{Value, json};

use super::stage::*;
use crate::azure::arm::*;

fn conflict(message: &str) -> Reply {
    reply(
        "PUT /c",
        409,
        &json!({"code": "OperationNotAllowed", "message": message}),
    )
}

#[tokio::test]
async fn case_19_another_operation_is_waited_for() {
    let stage = stage(vec![
        conflict("there is another operation (c - Updating) is in progress, wait"),
        get("Updating"),
        get("Updating"),
        get("Succeeded"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    stage.put(&body()).await.expect("made");
    let told = stage.run.told.lock().expect("no panic").join("\n");
    assert!(told.contains("Updating"), "{told}");
}

#[tokio::test]
async fn case_20_a_quota_is_no_conflict() {
    let stage = stage(vec![conflict("this would exceed the approved quota")]);
    stage.put(&body()).await.expect_err("refused");
}

#[tokio::test]
async fn case_21_throttling_waits_as_long_as_asked() {
    let throttled = |seconds: &str| {
        reply(
            "PUT /c",
            429,
            &json!({"code": "TooManyRequests", "message": "slow"}),
        )
        .header("retry-after", seconds)
    };
    let patient = stage(vec![
        throttled("7"),
        throttled("1200"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    patient.put(&body()).await.expect("made");
    assert_eq!(patient.gaps(), [7, 1200]);
    let seen = patient.seen();
    assert_eq!(seen[0].body, seen[2].body);
    let mut hurried = stage(vec![throttled("1200")]);
    hurried.run.limit = Some(Duration::from_mins(1));
    let error = hurried.put(&body()).await.expect_err("late").to_string();
    assert!(error.contains("1200s"), "{error}");
}

#[tokio::test]
async fn case_22_a_lost_answer_is_looked_for_before_it_is_repeated() {
    let lost = stage(vec![
        dropped("PUT /c"),
        get("Creating"),
        get("Creating"),
        get("Succeeded"),
    ]);
    lost.put(&body()).await.expect("made");
    let puts = |stage: &Stage| {
        let seen = stage.seen();
        seen.iter().filter(|s| s.line.starts_with("PUT")).count()
    };
    assert_eq!(puts(&lost), 1);
    let refused = stage(vec![
        reply("PUT /c", 502, &Value::Null),
        absent("GET /c"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    refused.put(&body()).await.expect("made");
    assert_eq!(puts(&refused), 2);
}

#[tokio::test]
async fn throttling_without_a_wait_worth_the_name_ends() {
    for (name, value) in [("retry-after", "0"), ("retry-after-ms", "20")] {
        let throttled = || {
            reply(
                "PUT /c",
                429,
                &json!({"code": "TooManyRequests", "message": "slow"}),
            )
            .header(name, value)
        };
        let stage = stage((0..5).map(|_| throttled()).collect());
        stage.put(&body()).await.expect_err("refused");
    }
}

#[tokio::test]
async fn case_22_what_may_be_there_is_kept_when_nobody_can_look() {
    let unseen = || reply("GET /c", 503, &Value::Null);
    for first in [dropped("PUT /c"), reply("PUT /c", 504, &Value::Null)] {
        let mut replies = vec![first];
        replies.extend((0..5).map(|_| unseen()));
        let stage = stage(replies);
        stage.put(&body()).await.expect_err("unseen");
        let noted = stage.noted.lock().expect("no panic").clone();
        let kept = noted[0].clone().expect("what Azure may have taken on");
        assert_eq!(
            (kept.style, kept.method.as_str()),
            (OperationStyle::Resource, "PUT")
        );
    }
    let mut cancelled = stage(vec![dropped("PUT /c")]);
    cancelled.run.cancel_at = Some(Duration::from_millis(100));
    cancelled.put(&body()).await.expect_err("cancelled");
    assert_eq!(cancelled.noted.lock().expect("no panic").len(), 1);
    // The last of all attempts is looked for as well, and what is not there is not kept.
    let mut replies = Vec::new();
    for _ in 0..5 {
        replies.extend([dropped("PUT /c"), absent("GET /c")]);
    }
    let never = stage(replies);
    never.put(&body()).await.expect_err("never made");
    assert!(never.noted.lock().expect("no panic").is_empty());
}

fn unregistered() -> Reply {
    reply(
        "PUT /c",
        409,
        &json!({"error": {"code": "MissingSubscriptionRegistration", "message": "register"}}),
    )
}

#[tokio::test]
async fn case_23_the_service_is_registered_once() {
    let registration = |word: &str| {
        reply(
            "GET /subscriptions/s/providers/Microsoft.ContainerService?",
            200,
            &json!({"registrationState": word}),
        )
    };
    let stage = stage(vec![
        unregistered(),
        reply(
            "POST /subscriptions/s/providers/Microsoft.ContainerService/register",
            200,
            &json!({}),
        ),
        registration("Registering"),
        registration("Registering"),
        registration("Registered"),
        reply("PUT /c", 200, &live("Succeeded")),
    ]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_23_who_may_not_register_is_told_what_to_register() {
    let stage = stage(vec![
        unregistered(),
        reply(
            "POST /register",
            403,
            &json!({"error": {"code": "AuthorizationFailed", "message": "no"}}),
        ),
    ]);
    let error = stage.put(&body()).await.expect_err("refused").to_string();
    assert!(
        error.contains("--namespace Microsoft.ContainerService --subscription s"),
        "{error}"
    );
}

#[tokio::test]
async fn case_23_the_service_that_is_named_is_registered_and_each_of_them_once() {
    let wants = |body: Value| reply("PUT /c", 409, &json!({ "error": body }));
    let code = "MissingSubscriptionRegistration";
    let text = "The subscription is not registered to use namespace 'Microsoft.Network'. See https://aka.ms/rps-not-found.";
    let registers = |namespace: &str| {
        let path = format!("/subscriptions/s/providers/{namespace}");
        [
            reply(&format!("POST {path}/register?"), 200, &json!({})),
            reply(
                &format!("GET {path}?"),
                200,
                &json!({"registrationState": "Registered"}),
            ),
        ]
    };
    let mut replies = vec![wants(json!({"code": code, "message": text}))];
    replies.extend(registers("Microsoft.Network"));
    replies.push(wants(
        json!({"code": code, "message": "no", "target": "Microsoft.Compute"}),
    ));
    replies.extend(registers("Microsoft.Compute"));
    replies.push(wants(
        json!({"code": code, "message": "namespace '../evil'", "target": "the cluster"}),
    ));
    replies.extend(registers("Microsoft.ContainerService"));
    replies.push(wants(json!({"code": code, "message": text})));
    let stage = stage(replies);
    let error = stage.put(&body()).await.expect_err("refused").to_string();
    assert!(
        error.contains("--namespace Microsoft.Network --subscription s"),
        "{error}"
    );
}

#[tokio::test]
async fn case_25_a_token_is_renewed_once() {
    let expired = |expects: &str| {
        reply(
            expects,
            401,
            &json!({"error": {"code": "ExpiredAuthenticationToken", "message": "old"}}),
        )
    };
    let renewed = stage(vec![
        accepted(201),
        expired("GET /operations/1"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    renewed.put(&body()).await.expect("made");
    let tokens: Vec<String> = renewed.seen().into_iter().map(|s| s.token).collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    let refused = stage(vec![
        accepted(201),
        expired("GET /operations/1"),
        expired("GET /operations/1"),
    ]);
    refused.put(&body()).await.expect_err("refused");
}

#[tokio::test]
async fn case_26_a_missing_right_fails_at_once() {
    let stage = stage(vec![reply(
        "PUT /c",
        403,
        &json!({"error": {"code": "AuthorizationFailed", "message": "may not do Microsoft.X/write over scope /y"}}),
    )]);
    let error = stage.put(&body()).await.expect_err("refused").to_string();
    assert!(error.contains("Microsoft.X/write"), "{error}");
}

async fn look(stage: &Stage) -> Result<Option<Value>, ArmError> {
    stage
        .with(async |arm, job| arm.get(job.run, &cluster(), API).await)
        .await
}

#[tokio::test]
async fn cases_28_to_30_and_35_only_a_missing_resource_is_absent() {
    let error = |status, code: &str| {
        stage(vec![reply(
            "GET /c",
            status,
            &json!({"error": {"code": code, "message": "m"}}),
        )])
    };
    for code in [
        "ResourceNotFound",
        "ResourceGroupNotFound",
        "ParentResourceNotFound",
    ] {
        let found = look(&error(404, code)).await.expect("an answer");
        assert_eq!(found, None, "{code}");
    }
    for (status, code) in [
        (404, "SubscriptionNotFound"),
        (401, "InvalidAuthenticationTokenTenant"),
        (403, "AuthorizationFailed"),
    ] {
        look(&error(status, code)).await.expect_err(code);
    }
    let broken = (0..5).map(|_| reply("GET /c", 500, &Value::Null)).collect();
    look(&stage(broken)).await.expect_err("500");
    let empty = stage(vec![reply("GET /c", 200, &Value::Null)]);
    look(&empty).await.expect_err("an empty answer");
}

#[tokio::test]
async fn case_59_a_page_of_a_proxy_removes_nothing() {
    let page = |expects: &str, body: &str| Reply {
        body: body.to_owned(),
        ..reply(expects, 404, &Value::Null)
    };
    let html = "<html><h1>Not Found</h1></html>";
    let error = look(&stage(vec![page("GET /c", html)]))
        .await
        .expect_err("a page");
    assert!(error.to_string().contains("Not Found"), "{error}");
    let kept = stage(vec![page("DELETE /c", html)]).delete().await;
    kept.expect_err("a page");
    // A code in the headers is Azure's; what is empty is no page.
    let coded = page("GET /c", html).header("x-ms-error-code", "ResourceNotFound");
    assert_eq!(look(&stage(vec![coded])).await.expect("an answer"), None);
    for body in ["", " \n", "{}"] {
        let found = look(&stage(vec![page("GET /c", body)])).await;
        assert_eq!(found.expect("an answer"), None, "{body:?}");
    }
}

#[tokio::test]
async fn case_31_readers_may_lag_behind() {
    let stage = stage(vec![
        accepted(201),
        op("Succeeded"),
        absent("GET /c"),
        absent("GET /c"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_34_all_pages_are_read() {
    let stage = stage(vec![
        reply(
            "GET /things?api-version=2024-11-01&%24filter=atScope",
            200,
            &json!({
            "value": [1], "nextLink": "https://Management.Azure.COM/things?$skiptoken=a%2Fb"}),
        ),
        reply(
            "GET /things?$skiptoken=a%2Fb",
            200,
            &json!({
            "value": [], "nextLink": "https://management.azure.com/things?page=3"}),
        ),
        reply("GET /things?page=3", 200, &json!({"value": [2]})),
    ]);
    let all = stage
        .with(async |arm, job| {
            arm.list(job.run, "/things", API, &[("$filter", "atScope()")])
                .await
        })
        .await
        .expect("a list");
    assert_eq!(all, [json!(1), json!(2)]);
}

#[tokio::test]
async fn a_list_that_is_none_or_not_all_of_it_is_an_error() {
    let list = async |replies: Vec<Reply>| {
        let stage = stage(replies);
        stage
            .with(async |arm, job| arm.list(job.run, "/things", API, &[]).await)
            .await
    };
    let first = |body: &Value| reply("GET /things?", 200, body);
    let page = Reply {
        body: "<html>a proxy</html>".to_owned(),
        ..first(&Value::Null)
    };
    list(vec![page]).await.expect_err("a page of a proxy");
    for body in [
        Value::Null,
        json!({}),
        json!([]),
        json!({"value": null}),
        json!({"value": {}}),
    ] {
        list(vec![first(&body)]).await.expect_err("no list");
    }
    assert_eq!(
        list(vec![absent("GET /things?")]).await.expect("none"),
        Vec::<Value>::new()
    );
    let more =
        || first(&json!({"value": [1], "nextLink": "https://management.azure.com/things?page=2"}));
    list(vec![more(), absent("GET /things?page=2")])
        .await
        .expect_err("half a list");
    let back = reply(
        "GET /things?page=2",
        200,
        &json!({
        "value": [2], "nextLink": "https://management.azure.com/things?page=2"}),
    );
    list(vec![more(), back]).await.expect_err("it leads back");
}

#[test]
fn relative_locations_are_resolved() {
    let stage = stage(Vec::new());
    let base = Url::parse("https://eastus2.management.azure.com/a/b?c=d").expect("a URL");
    let url = stage.arm.resolve(&base, LOCATION, "x").expect("a URL");
    assert_eq!(
        url.as_str(),
        format!("https://eastus2.management.azure.com{LOCATION}")
    );
}
