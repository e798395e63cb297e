//! The feature itself: that a binary with fault points shows it, and what `GET /v2/actors` tells.

use actix_web::http::Method;
use serde_json::Value;

use super::scene::Scene;

/// What `scripts/check` looks for in a normal binary, and must not find, is in this one.
#[actix_web::test]
async fn binary_with_fault_points_can_be_told() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_hookswitch")).unwrap();
    let script = include_str!("../../../scripts/check");
    let marker = "fault point hook.deliver";
    assert!(script.contains("'fault point '") && marker.starts_with("fault point "));
    assert!(binary.windows(marker.len()).any(|window| window == marker.as_bytes()));
}

#[actix_web::test]
async fn actors_tell_of_themselves() {
    let scene = Scene::start("hook.deliver marker:MARK-boom times:2", &["one", "other"], &[]).await;
    let events = scene.events_with("boom", 1);
    scene.publish(&events).await;
    scene.expect_everywhere(&events).await;
    scene.expect_restarts("webhook_actor", 2).await;
    scene.bridge.expect_idle().await;
    let actors = scene.bridge.call(Method::GET, "/v2/actors", &Value::Null).await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 62_167_219_200;
    let all: Vec<&Value> =
        actors["actors"].as_array().unwrap().iter().chain(actors["webhooks"].as_array().unwrap()).collect();
    assert_eq!(all.len(), 5);
    for actor in all {
        assert_eq!((&actor["alive"], &actor["mailbox_depth"]), (&true.into(), &0.into()), "{actor}");
        assert!((now - 600..=now).contains(&actor["started_at"].as_u64().unwrap()), "{actor}");
        assert!(actor["handled"].as_u64() > Some(0), "{actor}");
        assert_eq!(actor["panics"], actor["restarts"], "{actor}");
    }
    let panics: u64 = actors["webhooks"].as_array().unwrap().iter().map(|hook| hook["panics"].as_u64().unwrap()).sum();
    assert_eq!(panics, 2);
    for hook in actors["webhooks"].as_array().unwrap() {
        assert_eq!(
            (&hook["in_flight"], &hook["pending"], &hook["last_result"]),
            (&0.into(), &0.into(), &"delivered".into())
        );
    }
}
