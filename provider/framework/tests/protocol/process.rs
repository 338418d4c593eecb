//! The process and its calls, against the running binary.

use std::time::{Duration, Instant};

use crate::support::{
    FakeEngine, assert_complete, create, decoded, detail, lab, launch, map, properties, soon, urn,
};
use futures::future::join_all;
use pulumi_proto::pulumirpc as rpc;
use pulumi_proto::pulumirpc::diff_response::DiffChanges;
use pulumi_provider::{PropertyMap, PropertyValue};
use tonic::Code;

#[tokio::test]
async fn nothing_needs_a_configuration_but_the_resources() {
    let mut plugin = launch(
        "conformance",
        &["--new-flag", "-v=3", "--tracing", "x", "127.0.0.1:9"],
        &[],
    )
    .await;
    let client = &mut plugin.client;
    let flags = client
        .handshake(crate::support::handshake(""))
        .await
        .unwrap()
        .into_inner();
    assert!(flags.accept_secrets && flags.accept_resources && flags.accept_outputs);
    assert!(flags.supports_autonaming_configuration && flags.accepts_byte_string);
    assert_eq!(
        client
            .get_plugin_info(())
            .await
            .unwrap()
            .into_inner()
            .version,
        "1.2.3"
    );
    let schema = client
        .get_schema(rpc::GetSchemaRequest::default())
        .await
        .unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema.into_inner().schema).unwrap();
    assert_eq!(schema["name"], "lab");
    let refused = client
        .get_schema(rpc::GetSchemaRequest {
            version: 7,
            ..Default::default()
        })
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let refused = client
        .create(create("Bare", "r", properties([])))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    client.cancel(()).await.unwrap();
    assert!(
        client
            .get_mapping(rpc::GetMappingRequest::default())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_end_of_input_is_the_end() {
    let mut plugin = launch("conformance", &["127.0.0.1:9"], &[]).await;
    drop(plugin.process.stdin.take());
    let status = soon(plugin.process.wait()).await.unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn attached_it_logs_to_who_attached() {
    let (first, second) = (FakeEngine::start().await, FakeEngine::start().await);
    let mut plugin = launch("conformance", &[], &[]).await;
    for engine in [&first, &second] {
        let address = engine.address.clone();
        plugin
            .client
            .attach(rpc::PluginAttach { address })
            .await
            .unwrap();
        let args = properties([("token", "t".into()), ("door", "d".into())]);
        let request = rpc::ConfigureRequest {
            args: Some(args),
            ..Default::default()
        };
        plugin.client.configure(request).await.unwrap();
        let mut client = plugin.client.clone();
        let call =
            tokio::spawn(async move { client.create(create("Slow", "s", properties([]))).await });
        soon(async {
            while engine.with(|script| script.logs.is_empty()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        plugin.client.cancel(()).await.unwrap();
        assert_eq!(
            soon(call).await.unwrap().unwrap_err().code(),
            Code::Cancelled
        );
        engine.with(|script| {
            assert_eq!(script.logs.len(), 1);
            let log = &script.logs[0];
            assert!(log.ephemeral && log.urn == urn("Slow", "s") && log.message == "waiting");
        });
    }
}

#[tokio::test]
async fn configuration_comes_in_both_forms_and_goes_back_as_it_came() {
    let mut plugin = launch("conformance", &[], &[]).await;
    let secret = "secret-of-the-door";
    for guests in [
        PropertyValue::from("[\"a\"]"),
        PropertyValue::List(vec!["a".into()]),
        PropertyValue::UNKNOWN,
    ] {
        let news = map([
            ("version", "1.2.3".into()),
            ("token", secret.into()),
            ("door", "front".into()),
            ("guests", guests),
        ]);
        let request = rpc::CheckRequest {
            urn: urn("x", "p"),
            news: Some(pulumi_provider::wire::encode(&news)),
            ..Default::default()
        };
        let reply = plugin
            .client
            .check_config(request)
            .await
            .unwrap()
            .into_inner();
        assert!(reply.failures.is_empty(), "{:?}", reply.failures);
        let inputs = decoded(reply.inputs.as_ref());
        assert!(inputs["token"].is_secret(), "the schema says so");
        for (name, value) in &news {
            assert_eq!(inputs[name].bare(), value.bare(), "{name}");
        }
    }
    let news = properties([
        ("guests", "no list".into()),
        ("token", secret.into()),
        ("dor", 1.into()),
    ]);
    let request = rpc::CheckRequest {
        news: Some(news),
        ..Default::default()
    };
    let reply = plugin
        .client
        .check_config(request)
        .await
        .unwrap()
        .into_inner();
    let text = format!("{:?}", reply.failures);
    assert!(
        !text.contains(secret) && text.contains("did you mean 'door'"),
        "{text}"
    );
    assert!(
        reply.inputs.is_some() && reply.failures.len() == 3,
        "{text}"
    );
}

#[tokio::test]
async fn missing_configuration_is_named_key_by_key() {
    let mut plugin = launch("conformance", &[], &[]).await;
    let args = properties([("door", PropertyValue::from(3).into_secret())]);
    let request = rpc::ConfigureRequest {
        args: Some(properties([])),
        ..Default::default()
    };
    let error = plugin.client.configure(request).await.unwrap_err();
    let body: rpc::ConfigureErrorMissingKeys = detail(&error, "ConfigureErrorMissingKeys");
    let keys: Vec<_> = body.missing_keys.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(keys, ["token", "door"]);
    assert_eq!(body.missing_keys[0].description, "What opens the door.");
    let request = rpc::ConfigureRequest {
        args: Some(args),
        ..Default::default()
    };
    assert!(plugin.client.configure(request).await.is_err());
}

#[tokio::test]
async fn a_whole_life() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    let news = properties([("name", "n".into()), ("password", "p4ssw0rd".into())]);
    let check = rpc::CheckRequest {
        urn: urn("Named", "r"),
        olds: Some(properties([])),
        news: Some(news),
        random_seed: vec![1; 32],
        ..Default::default()
    };
    let inputs = lab
        .client
        .check(check)
        .await
        .unwrap()
        .into_inner()
        .inputs
        .unwrap();
    assert!(decoded(Some(&inputs))["password"].is_secret());
    let mut request = create("Named", "r", inputs.clone());
    request.preview = true;
    let preview = lab
        .client
        .create(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(preview.id.is_empty() && decoded(preview.properties.as_ref())["place"].is_unknown());
    request.preview = false;
    let made = lab.client.create(request).await.unwrap().into_inner();
    let outputs = made.properties.unwrap();
    assert_complete(&outputs);
    assert_eq!(made.id, "n");

    let read = rpc::ReadRequest {
        id: "n".into(),
        urn: urn("Named", "r"),
        ..Default::default()
    };
    let imported = lab.client.read(read.clone()).await.unwrap().into_inner();
    assert_eq!(imported.inputs.as_ref(), Some(&inputs));
    assert_eq!(imported.properties.as_ref(), Some(&outputs));
    let missing = rpc::ReadRequest {
        id: "other".into(),
        ..read
    };
    let missing = lab.client.read(missing).await.unwrap().into_inner();
    assert_eq!(missing, rpc::ReadResponse::default());

    let mut changed = decoded(Some(&inputs));
    changed.insert("size".into(), 4.into());
    let changed = pulumi_provider::wire::encode(&changed);
    for old_inputs in [Some(inputs.clone()), None] {
        let diff = rpc::DiffRequest {
            id: "n".into(),
            urn: urn("Named", "r"),
            olds: Some(outputs.clone()),
            old_inputs: old_inputs.clone(),
            news: Some(inputs.clone()),
            ..Default::default()
        };
        let same = lab.client.diff(diff.clone()).await.unwrap().into_inner();
        assert_eq!(same.changes(), DiffChanges::DiffNone);
        assert!(same.diffs.is_empty() && same.replaces.is_empty() && same.detailed_diff.is_empty());
        let diff = rpc::DiffRequest {
            news: Some(changed.clone()),
            ..diff
        };
        let some = lab.client.diff(diff).await.unwrap().into_inner();
        assert_eq!(
            (some.changes(), some.diffs),
            (DiffChanges::DiffSome, vec!["size".to_owned()])
        );
        let update = rpc::UpdateRequest {
            id: "n".into(),
            urn: urn("Named", "r"),
            olds: Some(outputs.clone()),
            old_inputs: old_inputs.clone(),
            news: Some(changed.clone()),
            preview: true,
            ..Default::default()
        };
        let preview = lab
            .client
            .update(update.clone())
            .await
            .unwrap()
            .into_inner();
        let preview = decoded(preview.properties.as_ref());
        assert!(preview["generation"].is_unknown());
        assert_eq!(
            preview["place"].as_str(),
            Some("shelf/n"),
            "stable outputs stay known"
        );
        let update = rpc::UpdateRequest {
            preview: false,
            ..update
        };
        let updated = lab.client.update(update).await.unwrap().into_inner();
        assert_eq!(decoded(updated.properties.as_ref())["size"], 4.into());
    }
    for _ in 0..2 {
        let delete = rpc::DeleteRequest {
            id: "n".into(),
            urn: urn("Named", "r"),
            properties: Some(outputs.clone()),
            ..Default::default()
        };
        lab.client.delete(delete).await.unwrap();
    }
}

#[tokio::test]
async fn what_exists_is_told_when_cancelled_or_late() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    for (deaf, timeout, code) in [
        (false, 0.0, Code::Cancelled),
        (true, 0.0, Code::Cancelled),
        (false, 0.3, Code::DeadlineExceeded),
        (true, 0.3, Code::DeadlineExceeded),
    ] {
        lab.configure().await;
        engine.with(|script| script.logs.clear());
        let mut request = create("Slow", "s", properties([("deaf", deaf.into())]));
        request.timeout = timeout;
        let mut client = lab.client.clone();
        let call = tokio::spawn(async move { client.create(request).await });
        let begin = Instant::now();
        if timeout == 0.0 {
            soon(async {
                while engine.with(|script| script.logs.is_empty()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            lab.client.cancel(()).await.unwrap();
        }
        let error = soon(call).await.unwrap().unwrap_err();
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{:?}",
            begin.elapsed()
        );
        assert_eq!(error.code(), code);
        let body: rpc::ErrorResourceInitFailed = detail(&error, "ErrorResourceInitFailed");
        assert_eq!(body.id, "slow-1");
        assert_eq!(decoded(body.properties.as_ref())["finished"], false.into());
        assert_eq!(body.reasons.len(), 1);
    }
    // A limit that no clock can tell is none.
    let mut request = create("Bare", "b", properties([]));
    request.timeout = 1e300;
    assert!(lab.client.create(request.clone()).await.is_ok());
    request.timeout = 1e18;
    assert!(lab.client.create(request).await.is_ok());
}

#[tokio::test]
async fn a_panic_is_one_calls_affair() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    for made in [false, true] {
        let inputs = properties([
            (
                "password",
                PropertyValue::from("s3cr3t-panic").into_secret(),
            ),
            ("made", made.into()),
        ]);
        let error = lab
            .client
            .create(create("Panicking", "p", inputs))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(!error.message().contains("s3cr3t"), "{}", error.message());
        if made {
            let body: rpc::ErrorResourceInitFailed = detail(&error, "ErrorResourceInitFailed");
            assert_eq!(body.id, "made-1");
            assert!(!format!("{:?}", body.reasons).contains("s3cr3t"));
        }
        assert!(
            lab.client
                .create(create("Bare", "b", properties([])))
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn sixty_four_creates_run_at_once() {
    let engine = FakeEngine::start().await;
    let lab = lab(&engine).await;
    let calls = (0..64).map(|i| {
        let mut client = lab.client.clone();
        // Each ends only when all have begun.
        let inputs = properties([("size", 64.into())]);
        async move {
            client
                .create(create("Meeting", &format!("m{i}"), inputs))
                .await
        }
    });
    for reply in soon(join_all(calls)).await {
        reply.unwrap();
    }
}

#[tokio::test]
async fn large_messages_pass() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    for megabytes in [5, 100] {
        let text = "x".repeat(megabytes << 20);
        let labels = PropertyMap::from([("large".to_owned(), text.as_str().into())]);
        let news = properties([("name", "n".into()), ("labels", labels.into())]);
        let request = rpc::CheckRequest {
            urn: urn("Named", "r"),
            news: Some(news),
            ..Default::default()
        };
        let reply = lab.client.check(request).await.unwrap().into_inner();
        let inputs = decoded(reply.inputs.as_ref());
        let back = inputs["labels"].as_map().unwrap()["large"].as_str();
        assert_eq!(back.map(str::len), Some(text.len()));
    }
}

#[tokio::test]
async fn an_engine_that_knows_less_is_served() {
    // No Handshake, configuration as texts, no names and types beside the URN, no old inputs.
    let mut plugin = launch("conformance", &["127.0.0.1:9"], &[]).await;
    let variables = [
        ("lab:config:token", "t"),
        ("lab:config:door", "d"),
        ("lab:config:guests", "[\"g\"]"),
    ];
    let request = rpc::ConfigureRequest {
        variables: variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Default::default()
    };
    let flags = plugin.client.configure(request).await.unwrap().into_inner();
    assert!(
        flags.accept_secrets
            && flags.supports_preview
            && flags.accept_resources
            && flags.accept_outputs
    );
    let inputs = properties([("name", "n".into())]);
    let made = plugin
        .client
        .create(create("Named", "r", inputs.clone()))
        .await
        .unwrap()
        .into_inner();
    let delete = rpc::DeleteRequest {
        id: made.id.clone(),
        urn: urn("Named", "r"),
        properties: made.properties.clone(),
        ..Default::default()
    };
    let update = rpc::UpdateRequest {
        id: made.id,
        urn: urn("Named", "r"),
        olds: made.properties,
        news: Some(inputs),
        ..Default::default()
    };
    plugin.client.update(update).await.unwrap();
    plugin.client.delete(delete).await.unwrap();
}
