//! Operations that Azure goes on with after it has answered.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::*;
use crate::azure::arm::*;

#[tokio::test]
async fn case_01_and_12_the_operation_is_followed_with_its_own_query() {
    let stage = stage(vec![
        accepted(201),
        op("InProgress"),
        op("InProgress"),
        op("InProgress"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    let made = stage.put(&body()).await.expect("made");
    assert_eq!(made["properties"]["provisioningState"], "Succeeded");
    let noted = stage.noted.lock().expect("no panic").clone();
    let pending = noted[0].clone().expect("a pending operation");
    assert_eq!(pending.url, OP);
    assert_eq!(pending.style, OperationStyle::AsyncOperation);
}

fn failure() -> Reply {
    reply(
        "GET /operations/1",
        200,
        &json!({"status": "Failed", "error": {
            "code": "CreateVMSSAgentPoolFailed",
            "message": "{\"error\":{\"code\":\"SkuNotAvailable\",\"message\":\"no such size here\"}}",
        }}),
    )
}

#[tokio::test]
async fn case_02_a_failed_operation_says_why() {
    let stage = stage(vec![accepted(201), failure(), get("Failed")]);
    let error = stage.put(&body()).await.expect_err("failed").to_string();
    assert!(
        error.contains("CreateVMSSAgentPoolFailed") && error.contains("no such size here"),
        "{error}"
    );
    assert_eq!(stage.noted.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn case_03_a_resource_that_came_out_well_counts_as_made() {
    let stage = stage(vec![accepted(201), failure(), get("Succeeded")]);
    stage.put(&body()).await.expect("made");
    let told = stage.run.told.lock().expect("no panic").join("\n");
    assert!(told.contains("warning: "), "{told}");
}

#[tokio::test]
async fn case_04_an_aborted_operation_is_a_failure() {
    let stage = stage(vec![accepted(200), op("Canceled"), get("Canceled")]);
    let error = stage.put(&body()).await.expect_err("aborted").to_string();
    assert!(error.contains("Canceled"), "{error}");
}

#[tokio::test]
async fn case_05_an_ok_with_a_busy_body_is_not_the_end() {
    let stage = stage(vec![
        reply("PUT /managedClusters/c", 200, &live("RegisteringDns")),
        get("RegisteringDns"),
        get("RegisteringDns"),
        get("RegisteringDns"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
}

fn located(status: u16, body: &Value) -> Reply {
    reply("GET /asyncoperations/1", status, body)
}

#[tokio::test]
async fn case_06_the_last_answer_at_the_location_is_the_result() {
    let first = Reply {
        body: "accepted, as plain text".to_owned(),
        ..reply("PUT /managedClusters/c", 202, &Value::Null)
    };
    let stage = stage(vec![
        first
            .header("location", LOCATION)
            .header("retry-after", "1"),
        located(202, &Value::Null).header("retry-after", "1"),
        located(202, &Value::Null).header("retry-after", "1"),
        located(200, &live("Succeeded")),
    ]);
    let made = stage.put(&body()).await.expect("made");
    assert_eq!(made["properties"]["dnsPrefix"], "C");
    assert_eq!(stage.gaps(), [1, 1, 1]);
}

#[tokio::test]
async fn case_07_a_group_goes_by_its_location() {
    let stage = stage(vec![
        reply("DELETE /managedClusters/c", 202, &Value::Null)
            .header("location", LOCATION)
            .header("retry-after", "15"),
        located(202, &Value::Null).header("retry-after", "15"),
        located(200, &Value::Null),
    ]);
    stage.delete().await.expect("deleted");
    assert_eq!(stage.gaps(), [15, 15]);
}

#[tokio::test]
async fn case_08_the_async_operation_wins_and_no_get_follows_a_delete() {
    let stage = stage(vec![
        reply("DELETE /managedClusters/c", 202, &Value::Null)
            .header("location", LOCATION)
            .header("azure-asyncoperation", OP),
        op("Deleting"),
        op("Succeeded"),
    ]);
    stage.delete().await.expect("deleted");
}

#[tokio::test]
async fn case_09_what_is_gone_is_deleted() {
    for status in [204, 404] {
        let stage = stage(vec![reply("DELETE /c", status, &Value::Null)]);
        stage.delete().await.expect("deleted");
    }
}

#[tokio::test]
async fn a_delete_without_headers_is_followed_until_the_resource_is_gone() {
    let stage = stage(vec![
        reply("DELETE /c", 202, &Value::Null),
        get("Deleting"),
        absent("GET /c"),
    ]);
    stage.delete().await.expect("deleted");
}

#[tokio::test]
async fn case_10_a_final_state_at_once_needs_no_look() {
    let stage = stage(vec![reply("PUT /c", 201, &live("Succeeded"))]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_11_a_new_location_is_followed() {
    let stage = stage(vec![
        reply("PUT /c", 202, &Value::Null).header("location", LOCATION),
        located(202, &Value::Null).header(
            "location",
            "https://management.azure.com/subscriptions/s/asyncoperations/2?x=y",
        ),
        reply("GET /asyncoperations/2?x=y", 200, &live("Succeeded")),
    ]);
    stage.put(&body()).await.expect("made");
    let noted = stage.noted.lock().expect("no panic").clone();
    let last = noted.last().cloned().flatten().expect("an operation");
    assert!(last.url.contains("asyncoperations/2"), "{last:?}");
}

#[tokio::test]
async fn case_12_no_token_goes_to_other_hosts() {
    let stage = stage(vec![reply("PUT /c", 201, &live("Creating")).header(
        "azure-asyncoperation",
        "https://management.azure.com.example.org/op",
    )]);
    let error = stage.put(&body()).await.expect_err("refused").to_string();
    assert!(error.contains("example.org"), "{error}");
    let noted = stage.noted.lock().expect("no panic").clone();
    let kept = noted[0].clone().expect("what Azure took on");
    assert_eq!(kept.style, OperationStyle::Resource);
    assert!(kept.url.contains("/managedClusters/c?"), "{}", kept.url);
    // The next run follows the resource itself.
    let later = super::stage::stage(vec![get("Creating"), get("Succeeded")]);
    let end = later
        .with(async |arm, job| arm.resumed(job, &cluster(), API, &kept).await)
        .await
        .expect("an end");
    assert!(end.is_some());
}

#[tokio::test]
async fn no_hint_makes_looks_come_without_a_pause() {
    let stage = stage(vec![
        accepted(201).header("retry-after", "0"),
        op("InProgress").header("retry-after", "0"),
        op("InProgress").header("retry-after", "Fri, 01 Jan 2021 00:00:00 GMT"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
    assert_eq!(stage.gaps()[..3], [1, 1, 1]);
}

#[tokio::test]
async fn case_13_failing_looks_do_not_end_the_operation() {
    let stage = stage(vec![
        accepted(201),
        reply("GET /operations/1", 503, &Value::Null),
        reply("GET /operations/1", 429, &Value::Null).header("retry-after", "5"),
        dropped("GET /operations/1"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
    assert_eq!(stage.gaps()[2], 5);
}

#[tokio::test]
async fn case_13_an_outage_of_names_or_certificates_does_not_end_the_operation() {
    let stage = stage(vec![
        accepted(201),
        unreached("GET /operations/1", "dns error: Name or service not known"),
        unreached("GET /operations/1", "invalid peer certificate: Expired"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_14_a_forgotten_operation_is_decided_by_the_resource() {
    let stage = stage(vec![
        accepted(201),
        op("InProgress"),
        absent("GET /operations/1"),
        absent("GET /operations/1"),
        absent("GET /operations/1"),
        get("Creating"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
}

#[tokio::test]
async fn case_15_the_asked_for_wait_is_kept() {
    let stage = stage(vec![
        accepted(201).header("retry-after", "60"),
        op("InProgress").header("retry-after-ms", "2000"),
        op("Succeeded"),
        get("Succeeded"),
    ]);
    stage.put(&body()).await.expect("made");
    assert_eq!(stage.gaps(), [60, 2, 0]);
}

#[tokio::test]
async fn case_17_a_cancel_ends_the_wait_and_sends_nothing() {
    let mut stage = stage(vec![accepted(201).header("retry-after", "60")]);
    stage.run.cancel_at = Some(Duration::from_secs(3));
    let error = stage.put(&body()).await.expect_err("cancelled").to_string();
    assert!(error.contains("may still be running"), "{error}");
    assert_eq!(stage.run.clock.now(), Duration::from_secs(3));
    assert_eq!(stage.seen().len(), 1);
    assert!(stage.noted.lock().expect("no panic")[0].is_some());
}

#[tokio::test]
async fn case_18_a_timeout_names_the_last_state() {
    let mut stage = stage(vec![
        accepted(201).header("retry-after", "10"),
        op("Upgrading").header("retry-after", "10"),
    ]);
    stage.run.limit = Some(Duration::from_secs(15));
    let error = stage.put(&body()).await.expect_err("late").to_string();
    assert!(error.contains("Upgrading"), "{error}");
    assert!(error.contains("may still be running"), "{error}");
}

#[tokio::test]
async fn an_earlier_operation_is_resumed_without_a_write() {
    let stage = stage(vec![op("InProgress"), op("Succeeded"), get("Succeeded")]);
    let operation = PendingOperation {
        style: OperationStyle::AsyncOperation,
        url: OP.to_owned(),
        method: "PUT".to_owned(),
        result_url: None,
    };
    let made = stage
        .with(async |arm, job| arm.resumed(job, &cluster(), API, &operation).await)
        .await
        .expect("an end");
    assert!(made.is_some());
}

#[tokio::test]
async fn after_a_kill_the_state_of_the_resource_is_followed() {
    let stage = stage(vec![get("Creating"), get("Failed"), get("Failed")]);
    let end = stage
        .with(async |arm, job| arm.settled(job, &cluster(), API, live("Creating")).await)
        .await
        .expect("an end");
    assert_eq!(
        end.expect("the resource")["properties"]["provisioningState"],
        "Failed",
        "a failed one is given, to be repaired"
    );
}
