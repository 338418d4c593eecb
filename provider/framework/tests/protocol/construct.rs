//! Components, against a fake monitor.

use std::time::Duration;

use crate::support::{Event, FakeEngine, Plugin, assert_complete, decoded, detail, lab, map, soon};
use pulumi_proto::pulumirpc as rpc;
use pulumi_proto::pulumirpc::construct_request::PropertyDependencies;
use pulumi_provider::{OutputValue, PropertyMap, PropertyValue, ReferenceId, ResourceReference};
use tonic::{Code, Status};

fn request(engine: &FakeEngine, inputs: &PropertyMap) -> rpc::ConstructRequest {
    rpc::ConstructRequest {
        project: "app".into(),
        stack: "dev".into(),
        r#type: "lab:index:Group".into(),
        name: "g".into(),
        parent: "urn:pulumi:dev::app::pulumi:pulumi:Stack::app-dev".into(),
        monitor_endpoint: engine.address.clone(),
        inputs: Some(pulumi_provider::wire::encode(inputs)),
        accepts_output_values: true,
        ..rpc::ConstructRequest::default()
    }
}

async fn construct(
    lab: &mut Plugin,
    request: rpc::ConstructRequest,
) -> Result<rpc::ConstructResponse, Status> {
    soon(lab.client.construct(request))
        .await
        .map(tonic::Response::into_inner)
}

fn names(engine: &FakeEngine) -> Vec<String> {
    let mut names: Vec<String> = engine.registrations().into_iter().map(|r| r.name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn first_the_component_then_its_children_then_the_outputs_once() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    let from = request(&engine, &map([("count", 3.into()), ("size", 2.into())]));
    let reply = construct(&mut lab, from.clone()).await.unwrap();
    let events = engine.with(|script| script.events.clone());
    assert!(matches!(&events[0], Event::Register(r) if r.name == "g"));
    assert!(matches!(&events[1], Event::Registered(name) if name == "g"));
    assert!(matches!(events.last(), Some(Event::Outputs(o)) if o.urn == reply.urn));
    assert_eq!(
        events
            .iter()
            .filter(|e| matches!(e, Event::Outputs(_)))
            .count(),
        1
    );
    let all = engine.registrations();
    let component = &all[0];
    assert!(!component.custom && !component.remote);
    assert_eq!(
        (&component.r#type, &component.parent),
        (&from.r#type, &from.parent)
    );
    assert!(component.accept_secrets && component.accept_resources && component.alias_specs);
    assert!(component.supports_partial_values && component.supports_result_reporting);
    assert_eq!(all.len(), 4);
    for child in &all[1..] {
        assert!(child.custom && child.parent == reply.urn && child.name.starts_with("g-"));
        assert_eq!(
            (child.version.as_str(), child.provider.as_str()),
            ("1.2.3", "")
        );
        assert_eq!(decoded(child.object.as_ref())["size"], 2.into());
        assert_complete(child.object.as_ref().unwrap());
    }
    let state = reply.state.unwrap();
    assert_complete(&state);
    let places = decoded(Some(&state));
    let places = places["places"].as_list().unwrap();
    let PropertyValue::Output(first) = &places[0] else {
        panic!("no output: {places:?}");
    };
    assert_eq!(first.value, Some("shelf/g-1".into()));
    assert_eq!(
        first.dependencies,
        ["urn:pulumi:dev::app::lab:index:Named::g-1"]
    );
}

#[tokio::test]
async fn what_the_component_was_given_reaches_where_it_belongs() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    let provider = "urn:pulumi:dev::app::pulumi:providers:lab::mine::id-1";
    let from = rpc::ConstructRequest {
        protect: Some(true),
        retain_on_delete: Some(false),
        dependencies: vec!["urn:d".into()],
        providers: [("lab".to_owned(), provider.to_owned())].into(),
        deleted_with: "urn:w".into(),
        ignore_changes: vec!["size".into(), "password".into()],
        replace_on_changes: vec!["size".into()],
        custom_timeouts: Some(rpc::construct_request::CustomTimeouts {
            create: "5m".into(),
            ..Default::default()
        }),
        resource_hooks: Some(rpc::construct_request::ResourceHooksBinding {
            before_create: vec!["hook".into()],
            ..Default::default()
        }),
        stack_trace_handle: "trace".into(),
        ..request(&engine, &map([("count", 1.into()), ("size", 1.into())]))
    };
    construct(&mut lab, from.clone()).await.unwrap();
    let all = engine.registrations();
    let (component, child) = (&all[0], &all[1]);
    assert_eq!(component.providers, from.providers);
    assert_eq!(
        (component.protect, component.retain_on_delete),
        (Some(true), Some(false))
    );
    assert_eq!(
        (&component.dependencies, &component.deleted_with),
        (&from.dependencies, &from.deleted_with)
    );
    assert_eq!(component.hooks.as_ref().unwrap().before_create, ["hook"]);
    assert_eq!(component.parent_stack_trace_handle, "trace");
    assert_eq!(
        (child.provider.as_str(), child.version.as_str()),
        (provider, "")
    );
    assert_eq!(
        (child.protect, child.retain_on_delete),
        (None, None),
        "these are inherited"
    );
    assert_eq!(child.ignore_changes, ["size"]);
    assert_eq!(child.replace_on_changes, ["size"]);
    assert_eq!(child.custom_timeouts.as_ref().unwrap().create, "5m");
}

#[tokio::test]
async fn a_provider_of_its_own_makes_the_children() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    let inputs = map([("count", 1.into()), ("door", "back".into())]);
    let mut from = request(&engine, &inputs);
    // The component's own provider makes neither the other one nor what that makes.
    from.providers = [("lab".to_owned(), "urn:p::mine".to_owned())].into();
    construct(&mut lab, from.clone()).await.unwrap();
    let all = engine.registrations();
    let (component, provider, child) = (&all[0], &all[1], &all[2]);
    assert_eq!(component.providers, from.providers);
    assert!(provider.custom && !provider.remote);
    assert_eq!(
        (provider.r#type.as_str(), provider.name.as_str()),
        ("pulumi:providers:lab", "g-lab")
    );
    assert_eq!(
        (provider.provider.as_str(), provider.version.as_str()),
        ("", "1.2.3")
    );
    let config = decoded(provider.object.as_ref());
    assert_eq!(config["door"], "back".into());
    assert_eq!(config["guests"].as_list().map(<[_]>::len), Some(1));
    assert!(config["token"].is_secret());
    assert!(
        child.provider.contains("::pulumi:providers:lab::g-lab::")
            && child.provider.starts_with("urn:"),
        "{}",
        child.provider
    );
    assert_eq!(child.version, "");
}

#[tokio::test]
async fn a_provider_that_the_program_names_makes_the_children() {
    let urn = "urn:pulumi:dev::app::pulumi:providers:lab::other";
    let unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    let to = |urn: &str, id| {
        let urn = urn.to_owned();
        PropertyValue::Resource(Box::new(ResourceReference {
            urn,
            id: Some(id),
            ..ResourceReference::default()
        }))
    };
    let known = ReferenceId::Known("id-1".to_owned());
    for (id, expected) in [
        (known.clone(), "id-1"),
        (ReferenceId::Unknown, unknown),
        (ReferenceId::Known(String::new()), unknown),
    ] {
        let engine = FakeEngine::start().await;
        let mut lab = lab(&engine).await;
        let inputs = map([("count", 1.into()), ("elsewhere", to(urn, id))]);
        construct(&mut lab, request(&engine, &inputs))
            .await
            .unwrap();
        let child = engine.registrations().pop().unwrap();
        assert_eq!(child.provider, format!("{urn}::{expected}"));
    }
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    let other = "urn:pulumi:dev::app::lab:index:Named::n";
    for wrong in [to(other, known), "text".into()] {
        let inputs = map([("count", 1.into()), ("elsewhere", wrong)]);
        let refused = construct(&mut lab, request(&engine, &inputs))
            .await
            .unwrap_err();
        let text = format!(
            "{:?}",
            detail::<rpc::InputPropertiesError>(&refused, "InputPropertiesError")
        );
        assert!(
            text.contains("elsewhere") && text.contains("must be a provider"),
            "{text}"
        );
        assert!(engine.registrations().is_empty());
    }
}

#[tokio::test]
async fn dependencies_travel_in_both_forms() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    let output = PropertyValue::Output(Box::new(OutputValue {
        value: Some(7.into()),
        secret: false,
        dependencies: vec!["urn:a".into()],
    }));
    let newer = request(&engine, &map([("count", 1.into()), ("size", output)]));
    // An engine from before output values.
    let mut older = request(&engine, &map([("count", 1.into()), ("size", 7.into())]));
    older.accepts_output_values = false;
    let urns = vec!["urn:a".to_owned()];
    older
        .input_dependencies
        .insert("size".into(), PropertyDependencies { urns });
    for from in [newer, older] {
        engine.with(|script| script.events.clear());
        construct(&mut lab, from).await.unwrap();
        let child = engine.registrations().pop().unwrap();
        assert_eq!(child.dependencies, ["urn:a"]);
        let size = decoded(child.object.as_ref())["size"].clone();
        assert!(
            matches!(&size, PropertyValue::Output(o) if o.dependencies == ["urn:a"]),
            "{size:?}"
        );
        assert_eq!(size.bare(), Some(&7.into()));
    }
}

#[tokio::test]
async fn secrets_stay_secret_on_their_way_to_children() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    for password in [
        PropertyValue::from("pass-word"),
        PropertyValue::from("pass-word").into_secret(),
    ] {
        engine.with(|script| script.events.clear());
        let from = request(&engine, &map([("count", 1.into()), ("password", password)]));
        construct(&mut lab, from).await.unwrap();
        for registration in engine.registrations() {
            assert!(
                decoded(registration.object.as_ref())["password"].is_secret(),
                "{}",
                registration.name
            );
        }
    }
}

#[tokio::test]
async fn a_preview_with_unknowns_registers_what_it_can() {
    let engine = FakeEngine::start().await;
    engine.with(|script| script.preview = true);
    let mut lab = lab(&engine).await;
    let inputs = map([
        ("count", PropertyValue::UNKNOWN),
        ("size", PropertyValue::UNKNOWN),
    ]);
    let from = rpc::ConstructRequest {
        dry_run: true,
        ..request(&engine, &inputs)
    };
    let reply = construct(&mut lab, from).await.unwrap();
    assert_eq!(names(&engine), ["g", "g-1"]);
    let child = engine.registrations().pop().unwrap();
    assert!(decoded(child.object.as_ref())["size"].is_unknown());
    let state = decoded(reply.state.as_ref());
    assert!(state["places"].as_list().unwrap()[0].is_unknown());
}

#[tokio::test]
async fn one_childs_failure_waits_for_the_others() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    engine.with(|script| {
        script.fail.insert("g-1".into());
        script.slow.insert("g-2".into(), Duration::from_millis(300));
    });
    let error = construct(&mut lab, request(&engine, &map([("count", 3.into())])))
        .await
        .unwrap_err();
    assert!(error.message().contains("g-1"), "{}", error.message());
    let events = engine.with(|script| script.events.clone());
    assert_eq!(
        events
            .iter()
            .filter(|e| matches!(e, Event::Registered(_)))
            .count(),
        4
    );
    assert!(!events.iter().any(|e| matches!(e, Event::Outputs(_))));
}

#[tokio::test]
async fn a_component_that_cannot_be_registered_has_no_children() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    engine.with(|script| script.fail.insert("g".into()));
    let error = construct(&mut lab, request(&engine, &map([("count", 2.into())])))
        .await
        .unwrap_err();
    assert!(
        error.message().contains("could not be registered"),
        "{}",
        error.message()
    );
    assert_eq!(names(&engine), ["g"]);
}

#[tokio::test]
async fn a_monitor_that_is_gone_is_a_cancel() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    engine.with(|script| script.gone = true);
    let inputs = map([("count", 2.into())]);
    let error = construct(&mut lab, request(&engine, &inputs))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    // Nobody listens there.
    let from = rpc::ConstructRequest {
        monitor_endpoint: "127.0.0.1:9".into(),
        ..request(&engine, &inputs)
    };
    let error = construct(&mut lab, from).await.unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
}

#[tokio::test]
async fn bad_inputs_are_refused_before_anything_is_registered() {
    let engine = FakeEngine::start().await;
    let mut lab = lab(&engine).await;
    let inputs = map([
        ("size", "large".into()),
        ("password", PropertyValue::from(12_345).into_secret()),
    ]);
    let error = construct(&mut lab, request(&engine, &inputs))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let body: rpc::InputPropertiesError = detail(&error, "InputPropertiesError");
    let paths: Vec<_> = body
        .errors
        .iter()
        .map(|e| e.property_path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["count", "size", ""],
        "the engine would print a secret that is named"
    );
    assert!(!format!("{body:?}{}", error.message()).contains("12345"));
    assert!(names(&engine).is_empty());
}
